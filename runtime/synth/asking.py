"""A model's answers: from what is kept, or asked for and kept, within a budget."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import Any, Protocol

from ledger.facts import JsonObject
from runtime.chat.client import ChatClient, connection_of
from runtime.chat.exchange import Exchange, ExchangeStore
from runtime.chat.pace import Stopped
from specs.canonical import digest_of
from specs.writer import Writer

URL_VARIABLE = "CODEMIX_WRITER_URL"
CALLED = "the model"


class NotKeptError(Exception):
    """Nobody may be asked, and this was never asked."""


class BudgetSpentError(Exception):
    """No further call may begin."""


class Asks(Protocol):
    """Whoever answers requests: the client."""

    def ask(self, request: JsonObject, /) -> Exchange:
        """Answer a request."""
        ...

    def stop(self) -> None:
        """End what waits."""
        ...


def writer_client(writer: Writer) -> ChatClient:
    """Return what asks a writer where its file or the environment says.

    Raises:
        InputError: The address or the key is missing.
    """
    connection = connection_of(
        writer.endpoint, os.environ, asked=CALLED, url_variable=URL_VARIABLE
    )
    return ChatClient(connection, address=writer.endpoint, asked=CALLED)


class Answers:
    """Answers requests, from as many threads as like."""

    def __init__(
        self, store: ExchangeStore, client: Asks | None, budget_tokens: int | None
    ) -> None:
        """Take where answers are kept, and who is asked.

        Args:
            store: Of one set; what is in it counts towards the budget.
            client: None: nobody is asked.
            budget_tokens: Of requests and answers together; null: no limit.
        """
        self._store, self._client, self._budget = store, client, budget_tokens
        self._lock = threading.Lock()
        self._is_stopped = False
        self.num_calls = 0
        self.tokens = 0
        if budget_tokens is not None:
            self.tokens = sum(map(_tokens, store.all()))

    def answer(self, request: JsonObject) -> Exchange:
        """Answer a request.

        Raises:
            InputError: The model can't be asked.
            NotKeptError: Nobody may be asked.
            BudgetSpentError: The budget is spent.
            Stopped: `stop` was called.
        """
        kept = self._store.find(digest_of(request))
        if kept is not None:
            return kept
        if self._client is None:
            raise NotKeptError
        with self._lock:
            if self._is_stopped:
                raise Stopped
            if self._budget is not None and self.tokens >= self._budget:
                raise BudgetSpentError
        exchange = self._client.ask(request)
        self._store.put(exchange)
        with self._lock:
            self.num_calls += 1
            self.tokens += _tokens(exchange)
        return exchange

    def stop(self) -> None:
        """Let no further call begin."""
        with self._lock:
            self._is_stopped = True
        if self._client is not None:
            self._client.stop()


@dataclass
class _Usage:
    answers: int = 0
    uncounted: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


def usage_of(store: ExchangeStore, writer: Writer) -> dict[str, Any]:
    """Count what a set cost: everything that was asked for it, whatever came of it."""
    usage, served = _Usage(), set[str]()
    for one in store.all():
        usage.answers += 1
        usage.uncounted += len(one.usage) < 2
        usage.prompt_tokens += one.usage.get("prompt_tokens", 0)
        usage.completion_tokens += one.usage.get("completion_tokens", 0)
        if one.served_model is not None:
            served.add(one.served_model)
    cost = None
    if writer.prices is not None:
        cost = usage.prompt_tokens * writer.prices.prompt / 1e6
        cost += usage.completion_tokens * writer.prices.completion / 1e6
    return {
        "writer": writer.name,
        **vars(usage),
        "served_models": sorted(served),
        "cost": None if cost is None else round(cost, 6),
    }


def _tokens(exchange: Exchange) -> int:
    return sum(exchange.usage.values())
