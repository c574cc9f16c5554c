"""The message queue in a folder: order, completeness, and what it does with what it cannot use."""

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection

WITHIN = 30


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    options = {"folder": str(tmp_path), "polling_interval": 0.005}
    with Connection("files://localhost", transport="tradingdesk.file_queue:Transport", transport_options=options) as to:
        yield to


def test_messages_come_in_the_order_in_which_they_were_sent(connection):
    queue = connection.SimpleQueue("broker.alpaca")
    for number in range(20):
        queue.put({"number": number})
    assert queue.qsize() == 20
    taken = []
    for _ in range(20):
        message = queue.get(timeout=WITHIN)
        message.ack()
        taken.append(message.payload["number"])
    assert taken == list(range(20))
    with pytest.raises(Empty):
        queue.get(block=False)


def test_queues_do_not_see_each_others_messages(connection, tmp_path):
    connection.SimpleQueue("desk").put("one")
    with pytest.raises(Empty):
        connection.SimpleQueue("broker.alpaca").get(block=False)
    assert len(list((tmp_path / "desk").iterdir())) == 1


def test_taken_message_leaves_no_file(connection, tmp_path):
    queue = connection.SimpleQueue("desk")
    queue.put("one")
    queue.get(timeout=WITHIN).ack()
    assert list((tmp_path / "desk").iterdir()) == []


def test_half_written_message_is_not_there_yet(connection, tmp_path):
    queue = connection.SimpleQueue("desk")
    queue.put("one")
    (tmp_path / "desk" / ".00000-half").write_text('{"body": "')
    assert queue.get(timeout=WITHIN).payload == "one"
    assert queue.qsize() == 0


def test_emptied_queue_is_empty(connection):
    queue = connection.SimpleQueue("desk")
    queue.put("one")
    queue.put("two")
    assert queue.clear() == 2
    assert queue.qsize() == 0


def test_each_message_is_taken_once_by_many_takers(connection, tmp_path):
    taken, sent = [], 300

    def take() -> None:
        with connection.clone() as own:
            queue = own.SimpleQueue("desk")
            while len(taken) < sent:
                try:
                    message = queue.get(timeout=0.2)
                except Empty:
                    return
                message.ack()
                taken.append(message.payload)

    queue = connection.SimpleQueue("desk")
    for number in range(sent):
        queue.put(number)
    takers = [threading.Thread(target=take) for _ in range(4)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join(WITHIN)
    assert sorted(taken) == list(range(sent))
