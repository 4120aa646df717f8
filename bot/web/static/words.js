// Small things that several parts of the page say in the same words.

export const byId = (id) => document.getElementById(id);

export const pictures = (count) => (count === 1 ? "1 picture" : `${count} pictures`);

export function timeLeft(seconds) {
  const whole = Math.max(1, Math.ceil(seconds));
  return whole < 100 ? `about ${whole} s left` : `about ${Math.ceil(whole / 60)} min left`;
}

export function fileName(view, suffix, kind = "png") {
  const words = view.prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ["imagine"];
  return `${words.slice(0, 8).join("-")}-${view.seed}-${suffix}.${kind}`;
}

export const altText = (view, rank) => `${view.prompt}, picture ${rank} of ${view.pictures.length}`;

export const rankText = (rank) => (rank === 1 ? "Best match" : `No. ${rank}`);

export const placeText = (rank, count) =>
  rank === 1 ? `Best match of ${count}` : `No. ${rank} of ${count}`;

export function when(isoTime) {
  if (!isoTime) return "";
  const format = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
  return new Date(isoTime).toLocaleString(undefined, format);
}

export function complain(element, sentence) {
  element.textContent = sentence;
  element.hidden = !sentence;
}

export function busy(button, isBusy) {
  button.setAttribute("aria-disabled", String(isBusy));
}

export const isBusy = (button) => button.getAttribute("aria-disabled") === "true";
