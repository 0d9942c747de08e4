"""CodeBuild of the embedded AWS: builds run as processes of this machine.

Projects stay with ministack; what concerns builds and their reports is answered here.
"""

from tidegate_embedded.codebuild.service import CodeBuild

__all__ = ["CodeBuild"]
