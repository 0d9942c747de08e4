"""CodePipeline of the embedded AWS: executes the pipelines that CloudFormation or the API made."""

from tidegate_embedded.codepipeline.plugin import CodePipeline

__all__ = ["CodePipeline"]
