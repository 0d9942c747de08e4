"""A service in the AWS JSON protocol, as a route: one method per operation."""

from collections.abc import Callable, Mapping
from typing import Any

from tidegate_embedded.gateway import Request, Response

Operation = Callable[[Request], dict[str, Any]]


class ApiError(Exception):
    """A request cannot be served: the code and message that its caller gets."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class JsonService:
    """Answers the named operations of the service with the target prefix, such as `Name_20150101`.

    Other operations of the same service go on to the next route.
    """

    def __init__(self, prefix: str, operations: Mapping[str, Operation]) -> None:
        self._operations = {f"{prefix}.{name}": operation for name, operation in operations.items()}

    def matches(self, request: Request) -> bool:
        """Whether one of the operations is asked for."""
        return request.target in self._operations

    def handle(self, request: Request) -> Response:
        """Answer what the operation returns, or the error that it raises."""
        try:
            return Response.json(self._operations[request.target](request))
        except ApiError as error:
            return Response.error(error.code, str(error))
