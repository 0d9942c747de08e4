"""CodePipeline of the embedded AWS: executes the pipelines that CloudFormation or the API made."""

from tidegate.local.codepipeline.plugin import CodePipeline

__all__ = ["CodePipeline"]
