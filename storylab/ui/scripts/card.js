// The buttons of one card; gradio calls this with the card's element and a way to reach the server.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  if (button.dataset.do === "retry") return trigger("retry");

  const story = [...element.querySelectorAll("ol li")].map((line) => line.textContent).join(" ");
  window.storylabCopy(button, story);
});
