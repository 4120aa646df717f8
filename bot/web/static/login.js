import { post } from "./api.js";
import { busy, byId, complain, isBusy } from "./words.js";

const form = byId("form");
const password = byId("password");
const submit = form.querySelector("button");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (isBusy(submit)) return;
  busy(submit, true);
  try {
    await post("/api/login", { password: password.value });
    location.replace(wanted());
  } catch (error) {
    complain(byId("trouble"), error.message);
    password.select();
  } finally {
    busy(submit, false);
  }
});

// Where the person wanted to go, if that is a page of ours.
function wanted() {
  const next = new URLSearchParams(location.search).get("next") ?? "/";
  const url = new URL(next, location.origin);
  return url.origin === location.origin && url.pathname !== "/login" ? url.pathname + url.search : "/";
}
