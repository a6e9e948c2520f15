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

// Puts a query that the server wrote into the browser's address, which keeps its language.
window.storylabFollow = (query) => {
  const address = new URL(window.location);
  const language = address.searchParams.get("lang");
  address.search = query;
  if (language) address.searchParams.set("lang", language);
  history.replaceState(null, "", address);
};

// Presses a button once it is on the page and can be pressed.
window.storylabPress = (id, tries = 100) => {
  const button = document.getElementById(id);
  if (button?.offsetParent && !button.disabled) return setTimeout(() => button.click(), 100); // fields are filled in
  if (tries) setTimeout(() => window.storylabPress(id, tries - 1), 100);
};

// Ctrl+Enter presses the main button of the tab that is shown, Esc its stop button.
document.addEventListener("keydown", (event) => {
  const runs = event.key === "Enter" && (event.ctrlKey || event.metaKey);
  if (!runs && event.key !== "Escape") return;
  if (runs && event.target.closest("#opening")) return; // Enter alone tells from there
  const shown = (button) => button.offsetParent && !button.disabled;
  [...document.querySelectorAll(runs ? ".run" : ".stop")].find(shown)?.click();
});

// Saves a text as a file of the visitor's.
window.storylabSave = ({ name, text }) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
};
