// One picture in the list: what it is, how far the work is, and what can be done with it.

import { ask } from "./api.js";
import { makeViewer } from "./viewer.js";

const OPEN = ["waiting", "working"];

/** Bytes as people read them. */
export const inBytes = bytes => bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** Seconds as people read them. */
export function inTime(seconds) {
  if (seconds < 100) return `${Math.max(1, Math.ceil(seconds))} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

export class Card {
  /** Shown at once; `say` tells screen readers something, and `changed` is called when the card's state is another. */
  constructor(file, say, changed) {
    this.name = file.name;
    this.say = say;
    this.changed = changed;
    this.told = null; // what the server has said last
    this.path = null; // of the picture on the server
    this.viewer = null;
    this.downloaded = this.said = 0; // numbers of attempts
    this.root = document.getElementById("card").content.firstElementChild.cloneNode(true);
    this.part(".name").textContent = file.name;
    this.part(".facts").textContent = `${inBytes(file.size)}, being sent`;
    this.part(".thumb img").onload = event => { event.target.hidden = false };
    this.part(".compare").onclick = () => this.viewer ? this.fold() : this.unfold();
    this.part(".cancel").onclick = () => this.cancel();
    this.part(".remove").onclick = () => this.remove();
    this.part(".download").onclick = () => { this.downloaded = this.attempt.number };
    for (const action of ["compare", "download", "cancel", "remove"]) {
      const button = this.part(`.${action}`);
      button.setAttribute("aria-label", `${button.textContent} ${file.name}`);
    }
  }

  part(selector) { return this.root.querySelector(selector) }
  get attempt() { return this.told?.attempt }
  get done() { return this.attempt?.state === "done" }
  get busy() { return OPEN.includes(this.attempt?.state) }
  get unsaved() { return this.busy || (this.attempt?.state === "done" && this.downloaded !== this.attempt.number) }

  /** Whether the picture would be enlarged by this wish, as it is not yet. */
  wants(wish) {
    const attempt = this.attempt;
    if (!this.path || this.busy) return false;
    const tried = ["done", "failed"].includes(attempt?.state);
    return !tried || attempt.scale !== wish.scale || attempt.model !== wish.model;
  }

  /** The server has the picture. */
  sent(visit, told) {
    this.path = `${visit}/pictures/${told.number}`;
    this.part(".thumb img").src = `${this.path}/small`;
    this.update(this.told || told);
  }

  /** Something has gone wrong, in one sentence. */
  fail(words) {
    const error = this.part(".error");
    error.hidden = !words;
    if (error.textContent !== words) error.textContent = words;
    if (!this.path) this.part(".facts").textContent = "";
  }

  async start(wish) {
    try {
      this.update(await ask("POST", `${this.path}/work?${new URLSearchParams(wish)}`));
    } catch (error) {
      this.fail(error.message);
    }
  }

  async cancel() {
    this.part(".remove").focus();
    await ask("DELETE", `${this.path}/work`).catch(error => this.fail(error.message));
  }

  async remove() {
    const next = this.root.nextElementSibling || this.root.previousElementSibling;
    this.fold();
    this.root.remove();
    (next?.querySelector(".remove") || document.getElementById("files")).focus();
    if (this.path) await ask("DELETE", this.path).catch(() => {});
    this.told = this.path = null;
    this.say(`${this.name} is removed`);
    this.changed(this);
  }

  /** The server says how things stand. */
  update(told) {
    if (told.serial < this.told?.serial) return; // an answer that was overtaken by an event
    const before = this.attempt;
    this.told = told;
    const attempt = told.attempt;
    if (this.viewer && (attempt?.number !== before?.number || attempt?.state !== "done")) this.fold();
    this.showFacts(told, attempt);
    this.showWork(attempt);
    this.fail(attempt?.error || "");
    const done = attempt?.state === "done";
    this.part(".compare").hidden = this.part(".download").hidden = !done;
    this.part(".cancel").hidden = !this.busy;
    if (done) this.part(".download").href = `${this.path}/result?n=${attempt.number}`;
    if (done && before?.state !== "done") this.say(`${this.name} is enlarged to ${attempt.width} by ${attempt.height} pixels`);
    this.changed(this);
  }

  showFacts(told, attempt) {
    const facts = [];
    if (told.width) facts.push(`${told.width} × ${told.height} pixels`);
    if (attempt?.state === "done") {
      facts.push(`→ ${attempt.width} × ${attempt.height} by ${attempt.model}, ${inBytes(attempt.size)}`);
    } else {
      facts.push(attempt?.state === "cancelled" ? "cancelled" : inBytes(told.size));
    }
    this.part(".facts").textContent = facts.join(attempt?.state === "done" ? " " : ", ");
    const notes = [...(attempt?.notes || []), this.busy && attempt.doing].filter(Boolean).join(". ");
    this.part(".notes").textContent = notes;
    this.part(".notes").hidden = !notes;
  }

  showWork(attempt) {
    this.part(".at-work").hidden = !this.busy;
    if (!this.busy) return;
    const bar = this.part("progress");
    bar.setAttribute("aria-label", `${this.name}, enlarged`);
    if (attempt.state === "waiting") bar.removeAttribute("value");
    else bar.value = attempt.share;
    const percent = Math.floor(100 * attempt.share);
    const left = attempt.left === null ? "" : `, ${inTime(attempt.left)} left`;
    this.part(".left").textContent = attempt.state === "waiting" ? "waiting its turn" : `${percent} %${left}`;
    const quarter = Math.floor(percent / 25);
    if (quarter > 0 && attempt.number * 10 + quarter > this.said) {
      this.said = attempt.number * 10 + quarter;
      this.say(`${this.name}: ${percent} percent${left}`);
    }
  }

  /** The connection is lost: how the work stands is not known any more. Once it is back, `update` tells. */
  lose() {
    if (!this.busy) return;
    this.part("progress").removeAttribute("value");
    this.part(".left").textContent = "the server does not answer";
  }

  unfold() {
    const { width, height, number } = this.attempt;
    const [before, after] = [`${this.path}/before`, `${this.path}/after?n=${number}`];
    this.viewer = makeViewer(this.name, { width, height }, before, after);
    this.root.append(this.viewer.root);
    this.viewer.measure();
    this.root.scrollIntoView({ block: "nearest" });
    this.part(".compare").setAttribute("aria-expanded", "true");
  }

  fold() {
    this.viewer?.close();
    this.viewer = null;
    this.part(".compare").setAttribute("aria-expanded", "false");
  }
}
