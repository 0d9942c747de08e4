"""What Lambda gives a handler beside its event."""

CONTROLLER = "arn:aws:lambda:eu-west-1:111111111111:function:tidegate-task"


class Context:
    """What Lambda tells a function about its invocation."""

    function_name = "tidegate-task"
    memory_limit_in_mb = 128
    aws_request_id = "request"

    def __init__(self, seconds: int = 900, function: str = CONTROLLER) -> None:
        self.seconds = seconds
        self.invoked_function_arn = function

    def get_remaining_time_in_millis(self) -> int:
        return self.seconds * 1000
