# A handler in Python, for `bench/serve.py`.
import json
from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports.types import (
    Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
)


def read(request):
    parts = []
    body = request.consume()
    with body.stream() as stream:
        while True:
            try:
                parts.append(stream.blocking_read(65536))
            except Exception:  # closed
                break
    IncomingBody.finish(body)
    return b"".join(parts)


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam):
        content = b"Hello from Python\n"
        kind = b"text/plain"
        if request.path_with_query() == "/echo":
            content = json.dumps(json.loads(read(request)), separators=(",", ":")).encode()
            kind = b"application/json"
        response = OutgoingResponse(Fields.from_list([("content-type", kind)]))
        body = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        with body.write() as stream:
            for at in range(0, len(content), 4096):
                stream.blocking_write_and_flush(content[at:at + 4096])
        OutgoingBody.finish(body, None)
