"""Drives the service with the official `openai` client, unchanged: what a customer's script does.

Environment: BASE_URL (…/v1), API_KEY, MODEL. Prints one line per check; any difference raises.
"""

import hashlib
import io
import json
import os
import time
import urllib.request

import openai

client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"])
MODEL = os.environ["MODEL"]
TEXT = b"the cat sat on the mat\nthe dog ran in the sun\na bird sang a song\nit was a fine day\n"
SETTINGS = {"steps": 3, "batch_size": 2, "rank": 2, "max_length": 16, "epsilon": 8.0}
METHOD = {"type": "dp_lora", "dp_lora": SETTINGS}
FINAL = ("succeeded", "failed", "cancelled")


def check(name, condition, shown=""):
    assert condition, f"{name}: {shown}"
    print("ok:", name)


def refused(error, call):
    try:
        call()
    except error as raised:
        return raised
    raise AssertionError(f"expected {error.__name__}")


def models():
    names = [model.id for model in client.models.list()]
    check("models.list", MODEL in names, names)
    check("models.retrieve", client.models.retrieve(MODEL).id == MODEL)
    refused(openai.NotFoundError, lambda: client.models.retrieve("gpt-4o-mini"))


def files():
    made = client.files.create(file=("train.txt", io.BytesIO(TEXT)), purpose="fine-tune")
    check("files.create", made.bytes == len(TEXT) and made.status == "processed", made)
    check("files.retrieve", client.files.retrieve(made.id).filename == "train.txt")
    check("files.content follows the redirect", client.files.content(made.id).read() == TEXT)
    check("files.list", made.id in [file.id for file in client.files.list(purpose="fine-tune")])
    check("files.list in pages", len(list(client.files.list(limit=1))) == len(list(client.files.list())))
    other = client.files.create(file=("b.txt", io.BytesIO(b"x\n")), purpose="fine-tune")
    check("files.delete", client.files.delete(other.id).deleted)
    refused(openai.NotFoundError, lambda: client.files.retrieve(other.id))
    return made.id


def files_that_are_refused():
    large = ("large.txt", io.BytesIO(b"a line\n" * 900_000))
    raised = refused(openai.APIStatusError, lambda: client.files.create(file=large, purpose="fine-tune"))
    check("a large file is told the other ways", raised.status_code == 413 and "presigned" in raised.message, raised)
    refused(openai.BadRequestError, lambda: client.files.create(file=("a", io.BytesIO(b"x")), purpose="vision"))


def presigned_upload():
    """Ours on top of the API: the way that large files go."""
    content = TEXT * 70_000
    wanted = {"filename": "big.txt", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "purpose": "fine-tune"}
    ticket = client.post("/files", body=wanted, cast_to=object)
    put = urllib.request.Request(ticket["upload"]["url"], data=content, method="PUT", headers=ticket["upload"]["headers"])
    check("presigned PUT", urllib.request.urlopen(put).status == 200)
    check("it has arrived", client.files.retrieve(ticket["id"]).status == "processed")
    client.files.delete(ticket["id"])


def uploads():
    content = TEXT * 10
    done = client.uploads.upload_file_chunked(
        file=content, filename="parts.txt", bytes=len(content), mime_type="text/plain", purpose="fine-tune", part_size=300,
    )
    check("uploads in chunks", done.status == "completed" and client.files.content(done.file.id).read() == content)
    upload = client.uploads.create(filename="a", bytes=5, mime_type="text/plain", purpose="fine-tune")
    part = client.uploads.parts.create(upload.id, data=b"hello")
    done = client.uploads.complete(upload.id, part_ids=[part.id], md5=hashlib.md5(b"hello").hexdigest())
    check("uploads with md5", done.file.bytes == 5)
    upload = client.uploads.create(filename="a", bytes=5, mime_type="text/plain", purpose="fine-tune")
    check("uploads.cancel", client.uploads.cancel(upload.id).status == "cancelled")


def jobs_that_are_refused(file):
    create = client.fine_tuning.jobs.create
    wrong = [
        (openai.NotFoundError, {"model": "gpt-4o-mini"}),
        (openai.NotFoundError, {"training_file": "file-unknown"}),
        (openai.BadRequestError, {"seed": 42}),
        (openai.BadRequestError, {"hyperparameters": {"n_epochs": 3}}),
        (openai.BadRequestError, {"method": {"type": "supervised"}}),
        (openai.BadRequestError, {"method": {"type": "dp_lora", "dp_lora": {"epsilon": 0}}}),
        (openai.BadRequestError, {"method": {"type": "dp_lora", "dp_lora": {"epsilon": -1}}}),
    ]
    for error, fields in wrong:
        raised = refused(error, lambda: create(**{"model": MODEL, "training_file": file, "method": METHOD, **fields}))
        assert raised.code and raised.body["message"].endswith("."), raised.body
    binary = client.files.create(file=("a.bin", io.BytesIO(b"\x89PNG\0\0")), purpose="fine-tune")
    refused(openai.BadRequestError, lambda: create(model=MODEL, training_file=binary.id))
    client.files.delete(binary.id)
    print("ok: wrong jobs are refused")


def job(file):
    made = client.fine_tuning.jobs.create(
        model=MODEL, training_file=file, method=METHOD, suffix="mine", metadata={"k": "v"},
        extra_headers={"Idempotency-Key": "one job"},
    )
    again = client.fine_tuning.jobs.create(
        model=MODEL, training_file=file, method=METHOD, suffix="mine", metadata={"k": "v"},
        extra_headers={"Idempotency-Key": "one job"},
    )
    check("jobs.create is idempotent", made.id == again.id and made.object == "fine_tuning.job", made)
    end = time.monotonic() + 300
    while (state := client.fine_tuning.jobs.retrieve(made.id)).status not in FINAL and time.monotonic() < end:
        time.sleep(0.2)
    check("the job succeeds", state.status == "succeeded", state)
    check("its model has a name", state.fine_tuned_model.startswith(f"ft:{MODEL}:") and ":mine:" in state.fine_tuned_model)
    check("jobs.list", made.id in [found.id for found in client.fine_tuning.jobs.list(metadata={"k": "v"})])
    check("jobs.list by other notes", not list(client.fine_tuning.jobs.list(metadata={"k": "w"})))
    events = list(client.fine_tuning.jobs.list_events(made.id, limit=1))
    check("events in pages, newest first", len(events) > 2 and "finished" in events[0].message, events)
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(made.id))
    check("checkpoints", [checkpoint.step_number for checkpoint in checkpoints] == [3])
    results(state.result_files)


def results(ids):
    contents = {client.files.retrieve(id).filename: client.files.content(id).read() for id in ids}
    check("adapter files", {"adapter_model.safetensors", "adapter_config.json", "privacy.json"} <= set(contents), list(contents))
    config = json.loads(contents["adapter_config.json"])
    check("PEFT configuration", config["peft_type"] == "LORA" and config["r"] == 2, config)
    check("privacy certificate", "epsilon" in json.dumps(json.loads(contents["privacy.json"])))


def cancelling(file):
    long = {"type": "dp_lora", "dp_lora": {**SETTINGS, "steps": 1_000_000}}
    made = client.fine_tuning.jobs.create(model=MODEL, training_file=file, method=long)
    refused(openai.ConflictError, lambda: client.files.delete(file))
    check("jobs.cancel", client.fine_tuning.jobs.cancel(made.id).status == "cancelled")
    check("cancelling twice", client.fine_tuning.jobs.cancel(made.id).status == "cancelled")
    check("its file can be deleted then", client.files.delete(file).deleted)


def wrong_key():
    other = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="dpft-wrong")
    refused(openai.AuthenticationError, lambda: list(other.files.list()))
    print("ok: a wrong key is refused")


if __name__ == "__main__":
    models()
    training_file = files()
    files_that_are_refused()
    presigned_upload()
    uploads()
    wrong_key()
    jobs_that_are_refused(training_file)
    job(training_file)
    cancelling(training_file)
    print("all checks passed")
