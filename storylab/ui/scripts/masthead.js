// The link to the page in the other language, which keeps the rest of the address, and the button that copies it.
element.addEventListener("click", (event) => {
  const copy = event.target.closest("#copy-link");
  if (copy) return window.storylabCopy(copy, window.location.href);

  const link = event.target.closest("#language");
  if (!link) return;
  event.preventDefault();
  const address = new URL(window.location);
  address.searchParams.set("lang", link.lang);
  window.location = address;
});
