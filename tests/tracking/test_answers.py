"""Whether a tracking server answers at all, found out before MLflow waits for it for minutes."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from swinablate.errors import EnvironmentFault
from swinablate.records.launch import UNKNOWN
from swinablate.tracking import runs
from swinablate.tracking.runs import answers
from swinablate.tracking.tracker import StudyCard, Tracker


@pytest.fixture
def silent(monkeypatch):
    """The address of a server that accepts and never answers."""
    monkeypatch.setattr(runs, "ANSWER_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_server_that_never_answers_is_given_up_soon(silent, tmp_path):
    card = StudyCard(
        name="s",
        question="?",
        declaration="d",
        dataset="digits",
        varied=(),
        launch=UNKNOWN,
        commit=None,
    )
    began = time.monotonic()
    with pytest.raises(EnvironmentFault, match="it does not answer within 0 s"):
        Tracker.open(silent, tmp_path, card)
    assert time.monotonic() - began < 60  # MLflow would try for minutes


def test_any_answer_is_one_and_a_password_in_the_address_is_no_obstacle():
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, *_) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answers(f"http://me:secret@127.0.0.1:{server.server_port}")
        server.shutdown()


def test_who_refuses_at_once_or_is_no_server_is_left_to_mlflow(silent):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    answers(f"http://127.0.0.1:{port}")
    answers("sqlite:///a.db")
