// The page: ties the steps together. Each step lives in its own module; this one only says what follows what.

import { Api, ApiProblem, readApiBase } from "./api.js";
import { offerAttack } from "./attack.js";
import { byId, showError } from "./dom.js";
import { showHistory } from "./history.js";
import { JobView } from "./job.js";
import { askForKey, forgetKey, knownKey } from "./key.js";
import { ModelChoice } from "./models.js";
import { showPreview } from "./preview.js";
import { textDial, trainingDial } from "./privacy.js";
import { Scrambling } from "./scrambling.js";
import { send } from "./send.js";
import { TextFile } from "./textfile.js";

const api = await connect();
const models = new ModelChoice(api, () => scrambling.wholeWords, modelChanged);
const perturber = () => models.perturber;
/** @type {Scrambling} */
const scrambling = new Scrambling(() => models.again(), settingChanged);
const text = textDial(perturber, () => scrambling, () => void preview());
const training = trainingDial(perturber);
const file = new TextFile(perturber, () => scrambling.noun, textChanged);
const jobView = new JobView(api, () => void refreshHistory());

offerAttack(api, () => models.perturber && models.model && file.summary
  ? { model: models.model, perturber: models.perturber, setting: scrambling.setting(text.epsilon), noun: scrambling.noun } : undefined);
byId("send").onclick = () => void start();
byId("forget-key").onclick = () => {
  forgetKey();
  location.reload();
};
await Promise.all([models.show().catch((problem) => showError("model-error", problem)), resume()]);

/** Asks for keys until the service knows one. */
async function connect() {
  const base = await readApiBase();
  let key = knownKey();
  for (;;) {
    const connection = new Api(base, key ?? (await askForKey()));
    try {
      await connection.get("/models");
      byId("work").hidden = false;
      byId("forget-key").hidden = false;
      return connection;
    } catch (problem) {
      // Only a key that is refused is asked for again; otherwise the key may be right and the service away.
      if (problem instanceof ApiProblem && problem.status === 401) forgetKey();
      showError("key-error", problem);
      key = null;
    }
  }
}

function modelChanged() {
  void text.refresh();
  void training.refresh();
  void file.check();
}

function settingChanged() {
  void text.refresh();
  void preview();
}

function textChanged() {
  byId("preview-section").hidden = !file.summary;
  settingChanged();
}

async function preview() {
  if (!file.summary || !models.perturber) return;
  try {
    showPreview(await models.perturber.preview(scrambling.setting(text.epsilon)), scrambling.noun);
  } catch (problem) {
    showError("send-error", problem);
  }
}

async function start() {
  if (!file.summary || !models.perturber || !models.model || !settingsAreValid()) return;
  const job = await send(api, {
    model: models.model,
    perturber: models.perturber,
    setting: scrambling.setting(text.epsilon),
    trainingEpsilon: training.epsilon,
    unit: file.unit,
    epochs: byId("epochs", HTMLInputElement).valueAsNumber,
    lossCurve: byId("loss-curve", HTMLInputElement).checked,
    batchSize: byId("batch-size", HTMLInputElement).valueAsNumber,
    suffix: byId("suffix", HTMLInputElement).value.trim(),
  });
  if (!job) return;
  void refreshHistory();
  open(job);
}

/** Says what is wrong with a typed setting, opening its fold so that the browser can point at it. */
function settingsAreValid() {
  const more = byId("more-settings", HTMLDetailsElement);
  return [...more.querySelectorAll("input")].every((input) => {
    if (input.checkValidity()) return true;
    more.open = true;
    return input.reportValidity();
  });
}

/** @param {any} job */
function open(job) {
  void jobView.follow(job);
  byId("job-title").focus();
}

function refreshHistory() {
  return showHistory(api, open);
}

/** After a reload, a training that still runs is followed again. */
async function resume() {
  const jobs = await refreshHistory();
  const running = jobs.find(({ status }) => status === "queued" || status === "running");
  if (running) void jobView.follow(running);
}
