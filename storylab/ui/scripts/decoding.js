// A click on a token of the bars puts it behind the text; gradio calls this with the element and a way to the server.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-token]");
  if (button) trigger("take", { token: Number(button.dataset.token) });
});
