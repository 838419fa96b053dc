// The page: it takes pictures, sends them to its own server, and shows what the server says of them.

import { ask, visit } from "./api.js";
import { Card, inBytes } from "./card.js";

const at = id => document.getElementById(id);
const cards = new Set();
const early = new Map(); // what the server has said of pictures that it has not answered for yet
let about, path;

function say(words) {
  at("status").textContent = words;
}

function alarm(words) {
  at("banner").textContent = words;
  at("banner").hidden = !words;
}

// --- what is wished ---

function addScale(list, value, words, checked) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "scale", value, checked });
  label.append(input, Object.assign(document.createElement("span"), { textContent: words }));
  list.append(label);
}

function addModel(model) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), {
    type: "radio", name: "model", value: model.name, checked: model.name === about.default,
  });
  const words = document.createElement("span");
  words.append(Object.assign(document.createElement("b"), { textContent: model.name, id: `model-${model.name}` }));
  words.append(Object.assign(document.createElement("small"), { textContent: model.words, id: `words-${model.name}` }));
  input.setAttribute("aria-labelledby", `model-${model.name}`);
  input.setAttribute("aria-describedby", `words-${model.name}`);
  label.append(input, words);
  at("models").append(label);
}

function wish() {
  const chosen = new FormData(at("wish"));
  const scale = chosen.get("scale") === "other" ? at("factor").valueAsNumber : Number(chosen.get("scale"));
  return { scale, model: chosen.get("model") };
}

function refresh() {
  const other = new FormData(at("wish")).get("scale") === "other";
  at("factor-label").hidden = at("factor").disabled = !other;
  const count = [...cards].filter(card => card.wants(wish())).length;
  at("start").disabled = !count;
  at("start").textContent = count > 1 ? `Enlarge ${count} pictures` : "Enlarge";
  at("none").hidden = cards.size > 0;
  const done = [...cards].filter(card => card.done).length;
  at("all").hidden = done < 2;
  at("all").textContent = `Download all ${done}`;
  document.body.classList.toggle("some", cards.size > 0);
}

function changed(card) {
  if (!card.root.isConnected) cards.delete(card);
  if (card.attempt?.state === "done" && ![...cards].some(other => other.viewer || other.busy) && cards.size === 1) card.unfold();
  refresh();
}

// --- pictures ---

function take(files) {
  for (const file of files) {
    const card = new Card(file, say, changed);
    cards.add(card);
    at("pictures").append(card.root);
    sending = sending.then(() => send(card, file)); // one after another, in their order
  }
  refresh();
}

async function send(card, file) {
  if (!card.root.isConnected) return; // removed meanwhile
  try {
    if (file.size > about.upload) {
      throw new Error(`a picture's file may have ${about.upload / 1e6} MB; npbsrn serve --max-size takes larger ones`);
    }
    await file.slice(0, 1).arrayBuffer().catch(() => { throw new Error(`${file.name} cannot be read; if it is a folder, choose the pictures in it`) });
    const told = await ask("POST", `${path}/pictures?${new URLSearchParams({ name: file.name })}`, file);
    card.sent(path, early.get(told.number) || told);
    early.delete(told.number);
    if (!card.root.isConnected) await ask("DELETE", card.path);
  } catch (error) {
    card.fail(error.message);
  }
  refresh();
}

function told(picture) {
  const card = [...cards].find(own => own.told?.number === picture.number);
  if (card) card.update(picture);
  else early.set(picture.number, picture);
}

// --- the page itself ---

async function open() {
  about = await ask("GET", "about");
  at("version").textContent = about.version;
  at("taken").textContent = `JPEG, PNG, WebP, TIFF, GIF, AVIF and others, of up to ${inBytes(about.upload)} each`;
  at("factor").max = about.largest;
  const scales = [...new Set(about.models.flatMap(model => model.scales))].sort();
  for (const scale of scales) addScale(at("scales"), scale, `${scale}×`, scale === Math.max(...scales));
  addScale(at("scales"), "other", "Other", false);
  about.models.forEach(addModel);
  path = await visit(told, stands => {
    alarm(stands ? "" : "The connection to npbsrn serve is lost. If you have ended it, start it again and open the page that it names.");
    if (!stands) for (const card of cards) card.lose();
  });
}

at("files").onchange = event => {
  take([...event.target.files]);
  event.target.value = "";
};
at("wish").oninput = refresh;
at("wish").onsubmit = event => {
  event.preventDefault();
  const wanted = wish();
  for (const card of cards) if (card.wants(wanted)) card.start(wanted);
};

at("all").onclick = async () => {
  for (const card of [...cards].filter(card => card.done)) {
    card.part(".download").click();
    await new Promise(resolve => setTimeout(resolve, 200)); // browsers drop downloads that come all at once
  }
};

let inside = 0; // elements that what is dragged is over
const withFiles = event => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", event => { if (withFiles(event)) document.body.classList.toggle("dragging", ++inside > 0) });
addEventListener("dragleave", event => { if (withFiles(event)) document.body.classList.toggle("dragging", --inside > 0) });
addEventListener("dragover", event => { if (withFiles(event)) event.preventDefault() });
addEventListener("drop", event => {
  if (!withFiles(event)) return;
  event.preventDefault();
  document.body.classList.toggle("dragging", (inside = 0) > 0);
  take([...event.dataTransfer.files]);
});
addEventListener("paste", event => take([...(event.clipboardData?.files || [])]));
addEventListener("beforeunload", event => { if ([...cards].some(card => card.unsaved)) event.preventDefault() });

let sending = open().then(refresh, error => alarm(`This page cannot be used: ${error.message}.`));
