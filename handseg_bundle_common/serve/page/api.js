// What the page asks the server for. A refusal becomes an error with its three sentences.

export class Refusal extends Error {
  constructor({ what, why, remedy }) {
    super(`${what} ${why}`);
    Object.assign(this, { what, why, remedy });
  }
}

async function ask(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch {
    throw new Refusal({ what: "The server", why: "does not answer", remedy: "start handseg serve again" });
  }
  if (answer.ok) return answer;
  const content = await answer.json().catch(() => null);
  const nameless = { what: "The server", why: `answered ${answer.status}`, remedy: "try again" };
  throw new Refusal(content?.error ?? nameless);
}

const json = async (address, options) => (await ask(address, options)).json();

function query(bundle, spacing) {
  const words = new URLSearchParams({ bundle });
  if (spacing) words.set("spacing_mm", spacing);
  return words;
}

export const about = () => json("/api/about");
export const bundles = () => json("/api/bundles");
export const bones = () => json("/api/bones");

export function segment(file, bundle, spacing) {
  const body = new FormData();
  body.set("file", file);
  return json(`/api/studies?${query(bundle, spacing)}`, { method: "POST", body });
}

export const again = (study, bundle, spacing) =>
  json(`/api/studies/${study}/again?${query(bundle, spacing)}`, { method: "POST" });

export const masks = (study) => json(`/api/studies/${study}/masks`);
export const compare = (study, other) => json(`/api/studies/${study}/compare/${other}`);
export const picture = async (study) => (await ask(`/api/studies/${study}/radiograph.png`)).blob();
export const file = (study, format) => `/api/studies/${study}/files/${format}`;

// Outlives the page, so that closing it deletes what it showed.
export const remove = (study) =>
  fetch(`/api/studies/${study}`, { method: "DELETE", keepalive: true }).catch(() => null);
