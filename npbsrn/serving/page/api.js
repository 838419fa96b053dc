// Requests to this page's own server.

/** Ask, and return the answer; an error's message is the sentence that the server gives. */
export async function ask(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, { method, body });
  } catch {
    throw new Error("the server does not answer; is npbsrn serve still running?");
  }
  const json = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(json.error || `the server refuses this (${answer.status})`);
  return json;
}

/** Open a visit: returns its path, and calls back with whatever changes, and with whether the connection stands. */
export async function visit(changed, connected) {
  const path = `visits/${(await ask("POST", "visits")).visit}`;
  const events = new EventSource(`${path}/events`);
  events.onmessage = event => changed(JSON.parse(event.data));
  // It comes back by itself within seconds; if it does not, the visit has ended.
  let late = null;
  events.onerror = () => { late ??= setTimeout(() => connected(false), 3000) };
  events.onopen = () => {
    clearTimeout(late);
    late = null;
    connected(true);
  };
  return path;
}
