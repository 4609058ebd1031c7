"""Azure Queue Storage: messages are hidden while a client processes them.

Lacks: queue metadata, access policies, and permissions: any signed-in client may do everything.
"""

from __future__ import annotations

from xml.etree import ElementTree

from aiohttp import web

from local.storage.service import ACCOUNT, StorageHandler, StorageService, element, http_date, page, xml
from local.storage.store import Message, StorageError

WEEK = 7 * 24 * 3600


class Queues(StorageService):
    """The queue service of the account."""

    name = "queues"

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the list of queues, of queues, their messages, and one message."""
        queue = f"/{ACCOUNT}/{{queue}}"
        return [
            self.clock_route(),
            *(web.get(path, self._account) for path in (f"/{ACCOUNT}", f"/{ACCOUNT}/")),
            web.route("*", queue, self._queue),
            web.route("*", f"{queue}/messages", self._messages),
            web.route("*", f"{queue}/messages/{{message}}", self._message),
        ]

    async def _account(self, request: web.Request) -> web.Response:
        return await self.respond(request, self._list)

    async def _queue(self, request: web.Request) -> web.Response:
        return await self.respond(request, self._create if request.method == "PUT" else self._properties)

    async def _messages(self, request: web.Request) -> web.Response:
        handlers: dict[str, StorageHandler] = {"POST": self._put, "DELETE": self._clear, "GET": self._get}
        return await self.respond(request, handlers[request.method])

    async def _message(self, request: web.Request) -> web.Response:
        return await self.respond(request, self._delete if request.method == "DELETE" else self._update)

    def _list(self, request: web.Request) -> web.Response:
        if request.query.get("comp") != "list":
            raise StorageError(400, "InvalidQueryParameterValue")
        names, marker = page(request, self.store.list_queues(request.query.get("prefix", "")))
        queues = "".join(f"<Queue>{element('Name', name)}</Queue>" for name in names)
        return xml(
            f'<EnumerationResults ServiceEndpoint="{self.url}/{ACCOUNT}">'
            f"<Queues>{queues}</Queues>{marker}</EnumerationResults>"
        )

    def _create(self, request: web.Request) -> web.Response:
        self.store.create_queue(request.match_info["queue"])
        return web.Response(status=201)

    def _properties(self, request: web.Request) -> web.Response:
        count = len(self.store.messages(request.match_info["queue"]))
        return web.Response(headers={"x-ms-approximate-messages-count": str(count)})

    async def _put(self, request: web.Request) -> web.Response:
        queue, now = request.match_info["queue"], self.store.clock()
        self.store.messages(queue)
        life = int(request.query.get("messagettl", WEEK))
        hidden = int(request.query.get("visibilitytimeout", 0))
        message = Message(_text(await request.read()), now, now + (life if life > 0 else 10**9), now + hidden)
        self.store.save_message(queue, message)
        response = xml(f"<QueueMessagesList>{_element(message, text=False)}</QueueMessagesList>")
        response.set_status(201)
        return response

    def _get(self, request: web.Request) -> web.Response:
        queue, now = request.match_info["queue"], self.store.clock()
        limit = int(request.query.get("numofmessages", 1))
        visible = [message for message in self.store.messages(queue) if message.visible <= now][:limit]
        if request.query.get("peekonly") != "true":
            for message in visible:
                message.visible = now + int(request.query.get("visibilitytimeout", 30))
                message.dequeued += 1
                self.store.save_message(queue, message)
        return xml(f"<QueueMessagesList>{''.join(_element(message) for message in visible)}</QueueMessagesList>")

    def _clear(self, request: web.Request) -> web.Response:
        self.store.clear(request.match_info["queue"])
        return web.Response(status=204)

    async def _update(self, request: web.Request) -> web.Response:
        message = self._received(request)
        message.visible = self.store.clock() + int(request.query["visibilitytimeout"])
        body = await request.read()
        message.text = _text(body) if body else message.text
        self.store.save_message(request.match_info["queue"], message)
        headers = {"x-ms-popreceipt": message.receipt, "x-ms-time-next-visible": http_date(message.visible)}
        return web.Response(status=204, headers=headers)

    def _delete(self, request: web.Request) -> web.Response:
        self.store.delete_message(self._received(request).id)
        return web.Response(status=204)

    def _received(self, request: web.Request) -> Message:
        receipt = request.query.get("popreceipt", "")
        return self.store.message(request.match_info["queue"], request.match_info["message"], receipt)


def _text(body: bytes) -> str:
    try:
        text = ElementTree.fromstring(body).findtext("MessageText")  # noqa: S314 - written by our own SDK
    except ElementTree.ParseError as error:
        raise StorageError(400, "InvalidXmlDocument") from error
    return text or ""


def _element(message: Message, *, text: bool = True) -> str:
    return (
        "<QueueMessage>"
        + element("MessageId", message.id)
        + element("InsertionTime", http_date(message.inserted))
        + element("ExpirationTime", http_date(message.expires))
        + element("PopReceipt", message.receipt)
        + element("TimeNextVisible", http_date(message.visible))
        + (element("DequeueCount", message.dequeued) + element("MessageText", message.text) if text else "")
        + "</QueueMessage>"
    )
