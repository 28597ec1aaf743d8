"""Calls a hub with gRPC's own C core. Prints what came as JSON, one line a call.

python-client.py HOST:PORT, with three messages on standard input, a line of hexadecimal digits each: a check, a large
check, and a check of a stream.
"""

import json
import sys

import grpc

address, messages = sys.argv[1], [bytes.fromhex(line) for line in sys.stdin]
same = lambda message: message


def say(what, **facts):
    print(json.dumps({"what": what, **facts}), flush=True)


def outcome(what, call):
    try:
        answer = call()
        say(what, code=0, answer=answer.hex())
    except grpc.RpcError as error:
        say(what, code=error.code().value[0], details=error.details())


with grpc.insecure_channel(address) as channel:
    check = channel.unary_unary("/istio.mixer.v1.Mixer/Check", same, same)
    outcome("one", lambda: check(messages[0], timeout=30))
    outcome("gzip", lambda: check(messages[0], timeout=30, compression=grpc.Compression.Gzip))
    outcome("deflate", lambda: check(messages[0], timeout=30, compression=grpc.Compression.Deflate))
    metadata = (("x-text", "a"), ("x-data-bin", b"\x00\xff"))
    outcome("metadata", lambda: check(messages[0], timeout=30, metadata=metadata))
    outcome("large", lambda: check(messages[1], timeout=30))
    outcome("too large", lambda: check(bytes(2_000_000), timeout=30))
    outcome("malformed", lambda: check(b"\xff\xff", timeout=30))
    outcome("unknown", lambda: channel.unary_unary("/istio.mixer.v1.Mixer/Chuck", same, same)(b"", timeout=30))

    answers = [future.result() for future in [check.future(messages[0], timeout=60) for _ in range(3000)]]
    say("many", answers=len(answers))

    watch = channel.unary_stream("/grpc.health.v1.Health/Watch", same, same)(b"", timeout=30)
    say("watch", answer=next(watch).hex())
    watch.cancel()
    outcome("deadline", lambda: b"".join(channel.unary_stream("/grpc.health.v1.Health/Watch", same, same)(b"", timeout=0.3)))

    stream = channel.stream_stream("/weir.v1.Weir/Check", same, same)
    answers = list(stream(iter([messages[2]] * 2000), timeout=60))
    say("stream", answers=len(answers))
