// The buttons of cards; gradio calls this with their component's element and a way to reach the server.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  const card = button.closest(".card");
  const place = card?.dataset.place ?? "";
  const events = { retry: "retry", pin: "select", unpin: "clear", look: "expand" };
  if (button.dataset.do in events) return trigger(events[button.dataset.do], { place });

  const story = [...card.querySelectorAll("ol li")].map((line) => line.textContent).join(" ");
  window.storylabCopy(button, story);
});
