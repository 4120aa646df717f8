import { post } from "./api.js";
import { busy, byId, complain, isBusy } from "./words.js";

const NOT_ENOUGH = "That opens the page, but this part of it needs the password for admins.";

const form = byId("form");
const password = byId("password");
const submit = form.querySelector("button");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (isBusy(submit)) return;
  busy(submit, true);
  try {
    const { role } = await post("/api/login", { password: password.value });
    if (isForAdmins() && role !== "admin") throw new Error(NOT_ENOUGH);
    location.replace(wanted());
  } catch (error) {
    complain(byId("trouble"), error.message);
    password.select();
  } finally {
    busy(submit, false);
  }
});

const isForAdmins = () => new URL(wanted(), location.origin).pathname === "/admin";

byId("for-admins").hidden = !isForAdmins();

// Where the person wanted to go, if that is a page of ours.
function wanted() {
  const next = new URLSearchParams(location.search).get("next") ?? "/";
  const url = new URL(next, location.origin);
  return url.origin === location.origin && url.pathname !== "/login" ? url.pathname + url.search : "/";
}
