"""Deployments on GitHub and their statuses, through gidgethub as a GitHub App.

Only the function that sets statuses imports this module: where agents.yaml has no ``github``, gidgethub is not loaded.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import gidgethub
import jwt
from gidgethub import abc, apps
from gidgethub.sansio import RateLimit

from core.commit_status import CommitDeployment, CommitState, ShownStatus, creates_deployment, missing_statuses
from handlers.gateways.answer_limits import LimitedResponse
from handlers.gateways.azure_http import (
    MAX_RETRY_AFTER_SECONDS,
    RETRYABLE_STATUSES,
    UNREADABLE_ANSWER,
    connection_options,
    retry_after_in,
)
from handlers.gateways.clock import Clock
from handlers.gateways.commit_statuses import GitHubApp
from handlers.gateways.errors import PermanentError, TransientError
from handlers.redaction import register_secret

SERVICE = "GitHub"
MAX_CALL_SECONDS = 40.0
"""Of all requests for one message: shorter than the lock under which they are sent."""
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
TOKEN_SECONDS = 50 * 60.0
"""A token lasts an hour (https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app)."""
PAGE = "per_page=100"
"""A release has one deployment with five statuses at most; GitHub lists the newest first."""
RIGHTS = {"deployments": "write"}
RATE_LIMIT_STATUSES = frozenset({403, 429})
SECONDARY_LIMIT, SECONDARY_LIMIT_SECONDS = re.compile("(?i)secondary rate limit"), 60.0
"""A secondary limit may come without a header; only GitHub's words distinguish its 403 from a missing right."""


class GitHubApi(abc.GitHubAPI):
    """gidgethub's client with limited answers; a redirected request would carry the token to another address."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        super().__init__("slipway", base_url=address)
        self._session = session

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> tuple[int, Mapping[str, str], bytes]:
        async with self._session.request(method, url, headers=headers, data=body, allow_redirects=False) as response:
            return response.status, response.headers, await response.read()

    async def sleep(self, seconds: float) -> None:
        """Required by gidgethub; messages wait in their queue."""
        await asyncio.sleep(seconds)  # pragma: no cover


class GitHubDeployments:
    """See the GitHub protocol."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._tokens: dict[tuple[str, ...], tuple[str, float]] = {}
        """App, key, address and repository -> a token, and until when it is used."""

    async def ensure_statuses(
        self, app: GitHubApp, deployment: CommitDeployment, statuses: Sequence[ShownStatus]
    ) -> Sequence[CommitState]:
        api, repository = GitHubApi(self._open_session(), app.api), deployment.repository
        try:
            async with asyncio.timeout(MAX_CALL_SECONDS):
                api.oauth_token = await self._token(api, app, repository)
                try:
                    return await self._ensure(api, deployment, statuses)
                except PermanentError as error:
                    if error.status != 401:
                        raise
                    del self._tokens[_token_key(app, repository)]  # revoked: the App was installed anew
                    raise TransientError(SERVICE, error.code, f"use a token for {repository}") from error
        except TimeoutError as error:
            raise TransientError(SERVICE, "no answer", f"set the status of {repository}", unclear=True) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                response_class=LimitedResponse,
                timeout=REQUEST_TIMEOUT,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=connection_options()["use_env_settings"],
            )
        return self._session

    async def _token(self, api: GitHubApi, app: GitHubApp, repository: str) -> str:
        """A token for deployments of this repository alone, the least that an App can ask for."""
        key, now = _token_key(app, repository), self._clock.monotonic()
        self._tokens = {known: token for known, token in self._tokens.items() if token[1] > now}
        if key in self._tokens:
            return self._tokens[key][0]
        signed, name = _sign(app), repository.partition("/")[2]
        async with self._errors(f"find the App's installation on {repository}"):
            installation = int((await api.getitem(f"/repos/{repository}/installation", jwt=signed))["id"])
        async with self._errors(f"sign in as the App on {repository}"):
            rights = {"repositories": [name], "permissions": RIGHTS}
            path = f"/app/installations/{installation}/access_tokens"
            token = str((await api.post(path, data=rights, jwt=signed))["token"])
        register_secret(token)
        self._tokens[key] = token, now + TOKEN_SECONDS
        return token

    async def _ensure(
        self, api: GitHubApi, deployment: CommitDeployment, statuses: Sequence[ShownStatus]
    ) -> Sequence[CommitState]:
        path = f"/repos/{deployment.repository}/deployments"
        async with self._errors(f"list the deployments of {deployment.repository}"):
            query = f"{path}?sha={{sha}}&environment={{environment}}&{PAGE}"
            listed = await api.getitem(query, {"sha": deployment.revision, "environment": deployment.target})
            found = min((int(item["id"]) for item in listed if _is_of(item, deployment)), default=None)
        if found is None and not creates_deployment(statuses):
            return ()
        if found is None:
            async with self._errors(f"create a deployment of {deployment.repository}@{deployment.revision[:12]}"):
                found, existing = int((await api.post(path, data=_body(deployment)))["id"]), []
        else:
            async with self._errors(f"list the statuses of deployment {found} of {deployment.repository}"):
                existing = [str(item["state"]) for item in await api.getitem(f"{path}/{found}/statuses?{PAGE}")]
        missing = missing_statuses(existing, statuses)
        for status in missing:
            async with self._errors(f"set the status of deployment {found} of {deployment.repository}"):
                await api.post(f"{path}/{found}/statuses", data=_status_body(status))
        return [status.state for status in missing]

    @asynccontextmanager
    async def _errors(self, what: str) -> AsyncIterator[None]:
        """GitHub's own words are left out: nobody knows what they repeat."""
        try:
            yield
        except gidgethub.HTTPException as error:
            status = int(error.status_code)
            wait = self._retry_after(error)
            if status in RETRYABLE_STATUSES or status >= 500 or wait is not None:
                raise TransientError(SERVICE, str(status), what, unclear=status >= 500, retry_after=wait) from error
            raise PermanentError(SERVICE, str(status), what, status=status) from error
        except (aiohttp.ClientError, OSError, *UNREADABLE_ANSWER) as error:
            raise TransientError(SERVICE, "no answer", f"{what}: {type(error).__name__}", unclear=True) from error

    def _retry_after(self, error: gidgethub.HTTPException) -> float | None:
        """Seconds that GitHub asks to wait, which makes a refusal one of its rate limits; an hour at most.

        https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
        """
        if (wait := retry_after_in(error.headers)) is not None:
            return wait
        if int(error.status_code) not in RATE_LIMIT_STATUSES:
            return None
        limit = RateLimit.from_http(error.headers)
        if limit is not None and not limit.remaining:
            left = limit.reset_datetime.timestamp() - self._clock.now().timestamp()
            return min(max(0.0, left), MAX_RETRY_AFTER_SECONDS)
        return SECONDARY_LIMIT_SECONDS if SECONDARY_LIMIT.search(str(error)) else None


def _sign(app: GitHubApp) -> str:
    """The App's own token, with which it asks for those of its installations."""
    try:
        # a key out of a JSON file or a pipeline's variable has its line ends as two characters
        pem = app.private_key.reveal().replace("\\n", "\n")
        return apps.get_jwt(app_id=app.app_id, private_key=pem)
    except (jwt.PyJWTError, *UNREADABLE_ANSWER) as error:
        raise PermanentError(
            SERVICE, "KEY_UNREADABLE", "sign as the App: its secret is not an RSA private key in PEM"
        ) from error


def _token_key(app: GitHubApp, repository: str) -> tuple[str, ...]:
    key = hashlib.sha256(app.private_key.reveal().encode()).hexdigest()
    return app.app_id, key, app.api, repository.lower()


def _is_of(item: Mapping[str, Any], deployment: CommitDeployment) -> bool:
    """Whether a listed deployment is that of the release; GitHub returns a payload as it was sent, or as its text."""
    payload = item["payload"]
    if isinstance(payload, str):
        try:
            payload = json.loads(payload)
        except (ValueError, RecursionError):
            return False
    return isinstance(payload, dict) and payload.get("slipway") == deployment.payload["slipway"]


def _body(deployment: CommitDeployment) -> Mapping[str, object]:
    """Without merging the default branch first, and without waiting for checks: the image is pushed already."""
    return {
        "ref": deployment.revision,
        "auto_merge": False,
        "required_contexts": [],
        "environment": deployment.target,
        "production_environment": False,  # GitHub takes the name `production` for true, and then deactivates nothing
        "payload": deployment.payload,
        "description": f"Slipway: {deployment.digest[:19]}",
    }


def _status_body(status: ShownStatus) -> Mapping[str, object]:
    body = {"state": status.state, "description": status.description, "auto_inactive": status.deactivates_others}
    return {**body, "log_url": status.log_url} if status.log_url else body
