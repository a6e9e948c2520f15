// What the parts of the page share in the browser: the clipboard, the address, the keys.

// Copies a text, and says so on the button for a moment: its data-done.
window.storylabCopy = async (button, text) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Over plain http from another machine browsers offer no clipboard but this one.
    const field = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  const label = button.textContent;
  if (label === button.dataset.done) return;
  button.textContent = button.dataset.done;
  setTimeout(() => (button.textContent = label), 1500);
};

// The address that the page was opened with; it changes once something is shown.
const opened = new URLSearchParams(window.location.search);

// What each tab last wrote into the address.
const queries = {};

// Puts a query that the server wrote into the browser's address, which keeps its language.
window.storylabFollow = (query) => {
  queries[new URLSearchParams(query).get("tab")] = query;
  const address = new URL(window.location);
  const language = address.searchParams.get("lang");
  address.search = query;
  if (language) address.searchParams.set("lang", language);
  history.replaceState(null, "", address);
};

// The address of a tab that comes into view: what it shows already, or the tab alone.
window.storylabTab = (tab) => {
  const shown = new URLSearchParams(window.location.search).get("tab") || "compare";
  if (shown !== tab && window.storylabArrived) window.storylabFollow(queries[tab] || `tab=${tab}`);
};

// Once the fields are filled in: presses the main button of the tab that a link with run=1 leads to.
window.storylabArrive = () => {
  const tab = opened.get("tab") || "compare";
  window.storylabArrived = true;
  if (opened.get("run") !== "1" || !/^[a-z]+$/.test(tab)) return;
  queries[tab] = opened.toString();
  window.storylabPress(`${tab}-run`);
};

// Presses a button once it is on the page and can be pressed.
window.storylabPress = (id, tries = 100) => {
  const button = document.getElementById(id);
  if (button?.offsetParent && !button.disabled) return setTimeout(() => button.click(), 100); // fields are filled in
  if (tries) setTimeout(() => window.storylabPress(id, tries - 1), 100);
};

// Brings the first element of a kind into view, once there is one.
window.storylabShow = (selector, tries = 20) => {
  const found = document.querySelector(selector);
  if (found) return found.scrollIntoView({ behavior: "smooth", block: "nearest" });
  if (tries) setTimeout(() => window.storylabShow(selector, tries - 1), 50);
};

// Ctrl+Enter presses the main button of the tab that is shown, Esc all its stop buttons.
document.addEventListener("keydown", (event) => {
  const runs = event.key === "Enter" && (event.ctrlKey || event.metaKey);
  if (!runs && event.key !== "Escape") return;
  if (runs && event.target.closest(".submits")) return; // Enter alone does it from there
  const shown = (button) => button.offsetParent && !button.disabled;
  const buttons = [...document.querySelectorAll(runs ? ".run" : ".stop")].filter(shown);
  (runs ? buttons.slice(0, 1) : buttons).forEach((button) => button.click());
});

// Saves a text as a file of the visitor's.
window.storylabSave = ({ name, text }) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
};

// The history: a list of tellings that all pages of this browser share.
const HISTORY = "storylab-history";
const MOST_TELLINGS = 50;
window.storylabKept = () => {
  try {
    return localStorage.getItem(HISTORY) || "[]";
  } catch {
    return "[]"; // a browser that keeps nothing
  }
};
window.storylabKeep = (tellings) => {
  const identity = (telling) => JSON.stringify([telling.model, telling.opening, telling.seed, telling.text]);
  try {
    const mine = JSON.parse(tellings);
    const known = new Set(mine.map(identity));
    const others = JSON.parse(window.storylabKept()).filter((telling) => !known.has(identity(telling)));
    localStorage.setItem(HISTORY, JSON.stringify([...mine, ...others].slice(0, MOST_TELLINGS)));
  } catch {
    // nothing is kept then; the page's own list stays
  }
};
window.storylabForget = () => {
  try {
    localStorage.removeItem(HISTORY);
  } catch {
    // there was nothing to forget
  }
};
