"""A client that knows that a kernel is ready as soon as it is."""

import time
from queue import Empty

from jupyter_client.asynchronous.client import AsyncKernelClient

_LOOK_S = 0.5  # how often a kernel that does not answer is looked at


class Client(AsyncKernelClient):
    """Jupyter's client, without its wait for a fifth of a second of silence before the first cell."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Return once the kernel answers and its outputs are heard. Raises RuntimeError when it died or is too late."""
        end = None if timeout is None else time.monotonic() + timeout
        asked = set()  # who executes a cell looks for what belongs to it, so that answers left over do no harm
        while True:
            asked.add(self.kernel_info())
            try:
                await self.get_shell_msg(timeout=_LOOK_S)
                # The outputs' channel may be connected later than the kernel's answer comes: then ask again.
                while (await self.get_iopub_msg(timeout=_LOOK_S / 10))["parent_header"].get("msg_id") not in asked:
                    pass
                return
            except Empty:
                pass
            if not await self.is_alive():
                raise RuntimeError("the kernel died before it answered")
            if end is not None and time.monotonic() > end:
                raise RuntimeError(f"the kernel did not answer in {timeout:.0f} s")
