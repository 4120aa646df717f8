// Talks to the bot. Whatever goes wrong becomes an Error whose message is for the person.

const SILENT = "The bot does not answer. Is it running? Try again in a moment.";

export async function get(path) {
  return answered(await fetch(path).catch(() => null));
}

export async function post(path, body = {}) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  }).catch(() => null);
  return answered(response);
}

async function answered(response) {
  if (!response) throw new Error(SILENT);
  if (response.status === 401 && location.pathname !== "/login") toLogin();
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new Error(answer?.error ?? SILENT);
  return answer;
}

// A picture that may have to be made first; null if there is one now.
export async function troubleWith(pictureUrl) {
  const response = await fetch(pictureUrl).catch(() => null);
  if (!response) return SILENT;
  if (response.ok) return await response.blob().then(() => null, () => SILENT);
  return (await response.json().catch(() => null))?.error ?? SILENT;
}

export function toLogin() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
}

export const newId = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
