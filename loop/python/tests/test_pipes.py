"""A read pipe's transport tells its state."""

import asyncio
import os


def test_is_reading(loop):
    """From the begin to close(), but for when it is paused."""
    inside, outside = os.pipe()
    file = os.fdopen(inside, "rb", 0)
    transport, _ = loop.run_until_complete(loop.connect_read_pipe(asyncio.Protocol, file))
    seen = [transport.is_reading()]
    transport.pause_reading()
    seen.append(transport.is_reading())
    transport.resume_reading()
    seen.append(transport.is_reading())
    transport.close()
    seen.append(transport.is_reading())
    loop.call_soon(loop.stop)
    loop.run_forever()
    os.close(outside)
    assert seen == [True, False, True, False]
