"""The plug-in: CodePipeline's API, its CloudFormation type, its providers, and the push trigger."""

from tidegate_embedded.cloud import Cloud
from tidegate_embedded.cloudformation.engine import Properties, Provisioned, Resource, register_type
from tidegate_embedded.codepipeline.actions import code_build, code_star_source, step_functions
from tidegate_embedded.codepipeline.definition import from_cloudformation
from tidegate_embedded.codepipeline.pipelines import Pipeline, Pipelines
from tidegate_embedded.codepipeline.service import PipelineApi
from tidegate_embedded.git import GitHost, Push


class CodePipeline:
    """Plug-in that executes pipelines, on request and when a connected repository is pushed to."""

    def install(self, cloud: Cloud) -> None:
        """Answer the API and git hooks; provision `AWS::CodePipeline::Pipeline`."""
        pipelines: Pipelines

        def on_push(push: Push) -> list[dict[str, str]]:
            return pipelines.push(push)

        git = GitHost(on_push)
        pipelines = Pipelines(
            cloud,
            {
                ("Source", "CodeStarSourceConnection"): code_star_source(git),
                ("Build", "CodeBuild"): code_build,
                ("Test", "CodeBuild"): code_build,
                ("Invoke", "StepFunctions"): step_functions,
            },
        )
        cloud.add_route(git)
        cloud.add_route(PipelineApi(pipelines).route)
        cloud.on_stop(pipelines.stop)
        _register(pipelines)


def _register(pipelines: Pipelines) -> None:
    def named(resource: Resource, properties: Properties) -> Properties:
        return {"Name": resource.generated_name(max_length=100), **properties}

    def create(resource: Resource, properties: Properties) -> Provisioned:
        declaration = from_cloudformation(named(resource, properties))
        return _provisioned(pipelines.create(resource.account, resource.region, declaration))

    def update(resource: Resource, _old: Properties, new: Properties) -> Provisioned:
        if new.get("Name", resource.physical_id) != resource.physical_id:
            return create(resource, new)
        declaration = from_cloudformation({**new, "Name": resource.physical_id})
        return _provisioned(pipelines.update(resource.account, resource.region, declaration))

    def delete(resource: Resource, _properties: Properties) -> None:
        pipelines.delete(resource.account, resource.region, resource.physical_id)

    register_type("AWS::CodePipeline::Pipeline", create=create, update=update, delete=delete)


def _provisioned(pipeline: Pipeline) -> Provisioned:
    return Provisioned(pipeline.name, {"Version": str(pipeline.version)})
