from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from litestar_queues_core.errors import PayloadError, PayloadTooLargeError
from litestar_queues_core.ids import JobId
from litestar_queues_core.model import KeyRule, NewJob
from litestar_queues_core.requests import (
    FORMAT,
    RequestSettings,
    decode_arguments,
    decode_result,
    decode_values,
    encode_result,
    new_job,
    split_options,
)
from litestar_queues_core.serializer import JsonSerializer
from litestar_queues_core.task import Task, task

ID = JobId("018c0000-0000-7000-8000-000000000000")
SERIALIZER = JsonSerializer()


class MsgspecSerializer:
    """Another serializer of plain JSON."""

    def dumps(self, value: object) -> bytes:
        return msgspec.json.encode(value)

    def loads(self, data: bytes) -> object:
        return msgspec.json.decode(data)


@dataclass
class Options:
    when: date
    level: int = 1


def request(made: Task[..., Any], *args: Any, **kwargs: Any) -> NewJob:
    """The job of a call whose options are given as keywords."""
    options, kwargs = split_options(made, kwargs)
    settings = RequestSettings(serializer=SERIALIZER)
    return new_job(made, args, kwargs, options, job_id=ID, settings=settings)


def key_of(made: Task[..., Any], *args: Any, **kwargs: Any) -> str | None:
    rule = request(made, *args, **kwargs).key
    return rule.key if rule else None


def test_a_plain_call_becomes_a_small_job() -> None:
    @task("sums.add")
    def add(a: int, b: int = 5) -> None: ...

    job = request(add, 1)

    assert job == NewJob(id=ID, spec=add.spec, payload=b'1{"a":1}')
    assert job.spec is add.spec
    assert request(add, 1, 2).payload == request(add, b=2, a=1).payload == b'1{"a":1,"b":2}'


def test_arguments_travel_by_annotation() -> None:
    @task
    def process(file: UUID, options: Options, *dates: date, **rest: Any) -> None: ...

    arguments = (UUID(int=1), Options(date(2024, 1, 1)), date(2024, 1, 2))
    job = request(process, *arguments, more=(1, {2}))

    assert job.payload == (
        b'1{"file":"00000000-0000-0000-0000-000000000001",'
        b'"options":{"when":"2024-01-01","level":1},"dates":["2024-01-02"],'
        b'"rest":{"more":{"$tuple":[1,{"$set":[2]}]}}}'
    )
    assert decode_arguments(process, job.payload, SERIALIZER) == (arguments, {"more": (1, {2})})


def test_two_serializers_read_each_other() -> None:
    @task
    def process(when: datetime, data: Any) -> None: ...

    arguments = {"when": datetime(2024, 1, 1, tzinfo=UTC), "data": {"ü": (1.5, None, b"x")}}
    settings = RequestSettings(serializer=MsgspecSerializer())
    job = new_job(process, (), arguments, job_id=ID, settings=settings)

    assert job.payload == request(process, **arguments).payload
    for serializer in (SERIALIZER, MsgspecSerializer()):
        assert decode_arguments(process, job.payload, serializer) == ((), arguments)


def test_wrong_arguments_are_type_errors_of_the_call() -> None:
    @task
    def process(file: str, *, _job_id: str) -> None: ...

    with pytest.raises(TypeError, match=r"process\(\) missing 1 required positional .* 'file'"):
        request(process)
    with pytest.raises(TypeError, match=r"process\(\) got an unexpected keyword argument 'other'"):
        request(process, other="x")
    with pytest.raises(TypeError, match="unexpected keyword argument '_job_id'"):
        request(process, "x", _job_id="y")


def test_injected_parameters_need_not_be_given() -> None:
    @task("store")
    def store(database: object, number: int) -> None: ...

    settings = RequestSettings(
        serializer=SERIALIZER, injected_for=lambda _: frozenset({"database"})
    )
    job = new_job(store, (5,), {}, job_id=ID, settings=settings)

    assert decode_arguments(store, job.payload, SERIALIZER) == ((), {"number": 5})


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"options": Options("now")}, "'options.when' must be date, not str"),  # type: ignore[arg-type]
        ({"options": None}, "'options' must be exactly Options, not NoneType"),
        ({"names": [datetime.now(UTC)]}, r"'names\[0\]' is of type datetime, which its annotation"),
        ({"names": float("nan")}, "'names' is nan, which JSON cannot express"),
        ({"names": {"a": [float("inf")]}}, r"\"names\['a'\]\[0\]\" is inf"),
        ({"names": {(1, 2): 3}}, r"names.* is a key and must be text, not tuple"),
        (
            {"free": print},
            "'free' is of type builtin_function_or_method, which cannot travel; possible",
        ),
        ({"free": {1: 2}}, "'free' has the key 1; keys must be text"),
    ],
)
def test_what_cannot_travel_is_refused_with_its_place(
    argument: dict[str, Any], message: str
) -> None:
    @task("files.process")
    def process(options: Options, names: list[str], free: Any) -> None: ...

    with pytest.raises(PayloadError, match=rf"^files\.process\(\): argument .*{message}"):
        request(process, **{"options": Options(date.min), "names": [], "free": 0} | argument)


def test_a_number_that_cannot_be_written_is_refused() -> None:
    @task("count")
    def count(n: int) -> None: ...

    with pytest.raises(PayloadError, match=r"^count\(\): .* raised ValueError: Exceeds the limit"):
        request(count, 10**5000)


def test_an_option_s_name_taken_by_a_parameter_is_explained() -> None:
    @task("send")
    def send(session: str) -> None: ...

    with pytest.raises(PayloadError, match=r"\(for the option, use \.using\(session=\.\.\.\)\)"):
        request(send, session=object())


def test_lone_surrogates_are_replaced_whatever_the_serializer() -> None:
    @task
    def say(text: str) -> None: ...

    settings = RequestSettings(serializer=MsgspecSerializer())
    job = new_job(say, ("a\ud800\x00",), {}, job_id=ID, settings=settings)

    assert decode_arguments(say, job.payload, MsgspecSerializer()) == ((), {"text": "a\ufffd\x00"})
    assert request(say, "a\ud800\x00").payload == job.payload


def test_arguments_and_results_have_a_limit() -> None:
    @task("say")
    def say(text: str) -> str: ...  # type: ignore[empty-body]

    settings = RequestSettings(serializer=SERIALIZER, max_payload=100)
    new_job(say, ("x" * 88,), {}, job_id=ID, settings=settings)

    with pytest.raises(PayloadTooLargeError, match=r"a call of 'say' takes 101 bytes, .* 100"):
        new_job(say, ("x" * 89,), {}, job_id=ID, settings=settings)
    assert len(encode_result(say, "x" * 97, SERIALIZER, limit=100)) == 100
    with pytest.raises(PayloadTooLargeError, match="the result of 'say' takes 101 bytes"):
        encode_result(say, "x" * 98, SERIALIZER, limit=100)


def test_keywords_are_options_unless_the_task_has_such_a_parameter() -> None:
    @task
    def plain(x: int, **others: Any) -> None: ...

    @task
    def own(priority: str, *, key: int) -> None: ...

    assert split_options(plain, {"x": 1, "priority": 5, "colour": "red"}) == (
        {"priority": 5},
        {"x": 1, "colour": "red"},
    )
    assert split_options(own, {"priority": "a", "key": 1, "queue": "q"}) == (
        {"queue": "q"},
        {"priority": "a", "key": 1},
    )
    job = request(own.using(priority=5, key="k"), priority="a", key=1)
    assert (job.spec.priority, job.key) == (5, KeyRule(key="k"))
    assert job.payload == b'1{"priority":"a","key":1}'


def test_options_of_the_call_beat_those_of_the_task() -> None:
    @task("work", queue="slow", priority=1, run_after=60, expires_in=5)
    def work() -> None: ...

    job = request(work.using(priority=2, queue="fast"), priority=3, headers={"trace": "1"})

    assert (job.spec.queue, job.spec.priority) == ("fast", 3)
    assert (job.delay_ms, job.expires_in_ms) == (60_000, 5_000)
    assert job.meta is not None
    assert job.meta.headers == {"trace": "1"}


def test_times_are_given_to_the_store_in_milliseconds() -> None:
    @task("work", run_after=60, expires_in=5)
    def work() -> None: ...

    instant = datetime(2024, 1, 1, tzinfo=UTC)
    job = request(work, run_at=instant, expires_at=instant + timedelta(hours=1))

    assert (job.due_ms, job.delay_ms) == (1_704_067_200_000, 0)
    assert (job.expires_ms, job.expires_in_ms) == (1_704_070_800_000, None)


def test_the_queue_s_defaults_apply_last() -> None:
    @task("work")
    def work() -> None: ...

    settings = RequestSettings(
        serializer=SERIALIZER,
        default_timeout=timedelta(minutes=1),
        default_execution_backend="cloudrun",
    )

    def spec(made: Task[[], None], **options: Any) -> tuple[float | None, str]:
        job = new_job(made, (), {}, options, job_id=ID, settings=settings)
        return job.spec.timeout, job.spec.lane

    assert spec(work) == (60.0, "default@cloudrun")
    assert spec(work, timeout=5) == (5.0, "default@cloudrun")
    assert spec(work.using(execution_backend="local")) == (60.0, "default")


def test_jobs_of_one_kind_share_their_spec() -> None:
    @task("work")
    def work(n: int) -> None: ...

    assert request(work, 1).spec is request(work, 2).spec
    assert request(work, 1, priority=5).spec is request(work.using(priority=5), 2).spec


def test_an_explicit_key_beats_the_task_s_which_beats_unique_by() -> None:
    @task("keyed", key="own", unique_by="task", unique_until="started")
    def keyed() -> None: ...

    assert request(keyed).key == KeyRule(key="own", until="started")
    assert request(keyed, key="explicit").key == KeyRule(key="explicit", until="started")
    assert request(keyed, key=None, unique_until=timedelta(seconds=5)).key == KeyRule(
        key="keyed#task", until=5000
    )
    assert request(keyed, key=None, unique_by=None).key is None


def test_all_forms_of_a_call_are_one_identity() -> None:
    @task("sync", unique_by="arguments")
    def sync(
        user: int, since: date = date(2024, 1, 1), *names: str, full: bool = False, **rest: Any
    ) -> None: ...

    forms = {
        key_of(sync, 1),
        key_of(sync, user=1),
        key_of(sync, 1, date(2024, 1, 1)),
        key_of(sync, 1, full=False),
        key_of(sync, full=False, since=date(2024, 1, 1), user=1),
    }
    others = {
        key_of(sync, 2),
        key_of(sync, 1, full=True),
        key_of(sync, 1, date(2024, 1, 1), "a"),
        key_of(sync, 1, a=1),
        key_of(sync, 1, a=(1,)),
    }

    assert len(forms) == 1
    assert len(others) == 5
    assert forms.isdisjoint(others)
    assert all(key and key.startswith("sync#") and len(key) <= 255 for key in forms | others)


def test_equal_sets_and_dicts_are_one_identity() -> None:
    @task("sync", unique_by="arguments")
    def sync(data: Any) -> None: ...

    assert key_of(sync, {"a": 1, "b": {"x", "y", "z"}}) == key_of(
        sync, {"b": {"z", "y", "x"}, "a": 1}
    )


def test_what_is_injected_is_no_part_of_the_identity() -> None:
    @task("sync", unique_by="arguments")
    def sync(user: int, database: object = object(), *, _job_id: str = "") -> None: ...

    settings = RequestSettings(
        serializer=SERIALIZER, injected_for=lambda _: frozenset({"database"})
    )
    keys = {new_job(sync, (1,), {}, job_id=ID, settings=settings).key for _ in range(2)}

    assert len(keys) == 1
    with pytest.raises(PayloadError, match=r"sync\(\): the default of a parameter cannot be comp"):
        request(sync, 1)


def test_arguments_that_cannot_be_identified_are_refused() -> None:
    @task("sync", unique_by="arguments")
    def sync(amount: float) -> None: ...

    with pytest.raises(PayloadError, match=r"sync\(\): argument 'amount' is nan"):
        request(sync, float("nan"))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b'2{"n":1}', "the arguments of 'count' came in format b'2'.*reads b'1' only; upgrade"),
        (b"", "came in format b''"),
        (b"1{", "the arguments of 'count' cannot be decoded"),
        (b"1\xff", "the arguments of 'count' cannot be decoded"),
        (b"1[1]", "the arguments of 'count' are no JSON object"),
        (b'1{"m":1}', r"count\(\) has no parameter 'm', or none any more"),
        (b'1{"when":"soon"}', r"count\(\): argument 'when' is no date: 'soon'"),
        (b'1{"when":{"$os.system":"x"}}', r"count\(\): argument 'when' must be the text of a date"),
    ],
)
def test_a_payload_that_cannot_be_read_says_why(payload: bytes, message: str) -> None:
    @task("count")
    def count(n: int = 0, when: date = date.min) -> None: ...

    with pytest.raises(PayloadError, match=message):
        decode_arguments(count, payload, SERIALIZER)


def test_an_argument_without_a_name_that_is_missing_is_a_payload_error() -> None:
    @task("move")
    def move(x: int, y: int, /) -> None: ...

    with pytest.raises(PayloadError, match=r"move\(\): argument 'x' is missing"):
        decode_arguments(move, b'1{"y":1}', SERIALIZER)


def test_values_can_be_had_by_name() -> None:
    @task("move")
    def move(x: date, /, *rest: int) -> None: ...

    payload = request(move, date(2024, 1, 1), 2, 3).payload

    assert decode_values(move, payload, SERIALIZER) == {"x": date(2024, 1, 1), "rest": [2, 3]}


def give_options() -> Options: ...  # type: ignore[empty-body]


def give_anything() -> Any: ...


@pytest.mark.parametrize(
    ("function", "value", "wire"),
    [
        (give_options, Options(date(2024, 1, 1)), b'1{"when":"2024-01-01","level":1}'),
        (give_options, None, b"1null"),
        (give_anything, (1, {2}), b'1{"$tuple":[1,{"$set":[2]}]}'),
        (give_anything, None, b"1null"),
        (give_anything, [1, "x"], b'1[1,"x"]'),
    ],
)
def test_results_travel_by_the_return_annotation(
    function: Callable[[], Any], value: Any, wire: bytes
) -> None:
    made = task("give")(function)

    data = encode_result(made, value, SERIALIZER)

    assert data == wire
    assert decode_result(made, data, SERIALIZER) == value


def test_a_result_of_an_unknown_task_is_read_as_far_as_it_shows_its_types() -> None:
    assert decode_result(None, b'1{"when":"2024-01-01"}', SERIALIZER) == {"when": "2024-01-01"}
    assert decode_result(None, b'1{"$tuple":[1]}', SERIALIZER) == (1,)
    assert decode_result(None, None, SERIALIZER) is None


def test_a_result_that_cannot_travel_says_where() -> None:
    @task("give")
    def give() -> dict[str, list[str]]: ...  # type: ignore[empty-body]

    with pytest.raises(PayloadError, match=r"give\(\): the result\['a'\]\[1\] is of type datetime"):
        encode_result(give, {"a": ["x", datetime.now(UTC)]}, SERIALIZER)
    with pytest.raises(PayloadError, match=r"give\(\): the result has the key 1"):
        encode_result(give, {1: []}, SERIALIZER)


def test_a_result_that_cannot_be_read_says_why() -> None:
    made = task("give")(give_options)

    with pytest.raises(PayloadError, match=r"give\(\): the result\.when is no date: 'x'"):
        decode_result(made, b'1{"when":"x"}', SERIALIZER)
    with pytest.raises(PayloadError, match="the result of 'give' came in format b'9'"):
        decode_result(made, b"9null", SERIALIZER)


def test_the_format_is_the_first_byte() -> None:
    assert FORMAT == b"1"
