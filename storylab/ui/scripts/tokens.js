// The tokens of the readings: selecting one shows what the reader thought of it, without asking the server.
// gradio calls this with the component's element, and with ways to watch its value and to reach the server.
let selected = null; // {run, reader, number}
let trees = {}; // the tokens of each reader, parsed once a run

const view = () => element.querySelector(".readings");
const sections = () => [...element.querySelectorAll(".reading[data-tokens]")];
const section = (reader) => sections().find((one) => one.dataset.reader === reader);
const button = (reader, number) => section(reader)?.querySelector(`.token[data-number="${number}"]`);
const tokens = (one) => (trees[one.dataset.reader] ??= JSON.parse(one.dataset.tokens));

const make = (tag, name, text, ...children) => {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...(text === "" ? [] : [text]), ...children);
  return made;
};
const share = (p) => (p >= 0.995 ? "100%" : p < 1e-6 ? "<0.0001%" : `${Number((100 * p).toPrecision(2))}%`);
const fill = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const seen = (text) => text.replace(/ /g, "␣"); // the blank before a word is a part of the token

// The token that holds a place of the text, for each reader's own way of cutting it.
const at = (list, start) => {
  let found = 0;
  list.forEach((token, number) => token.start <= start && (found = number));
  return found;
};

const measures = (token, words) => {
  const figures = {
    probability: share(token.probability),
    rank: token.rank,
    surprise: `${token.surprise.toFixed(1)} ${words.bits}`,
    entropy: `${token.entropy.toFixed(1)} ${words.bits}`,
  };
  const list = make("dl", "numbers", "");
  for (const [name, value] of Object.entries(figures)) {
    const row = make("div", "", "", make("dt", "", words[name]), make("dd", "", String(value)));
    row.title = words[`${name}_about`];
    list.append(row);
  }
  return list;
};

const bar = ([id, text, probability], token, words) => {
  const own = id === token.id;
  const row = make("button", own ? "other own" : "other", "");
  row.type = "button";
  row.dataset.token = id;
  row.title = fill(words.branch_with, { token: text.trim() || text });
  const length = make("span", "length", "");
  length.style.width = `${Math.max(0.5, 100 * probability)}%`;
  row.append(make("span", "name", seen(text)), make("span", "bar", "", length), make("span", "value", share(probability)));
  return row;
};

const elsewhere = (token, words) => {
  const others = sections().filter((one) => one.dataset.reader !== selected.reader);
  if (!others.length) return [];
  const rows = others.map((one) => {
    const list = tokens(one);
    const other = token.last ? list.at(-1) : list[at(list, token.start)];
    const [, guess, probability] = other.others[0];
    const values = { token: seen(other.text), probability: share(other.probability), rank: other.rank };
    const facts = fill(words.elsewhere, { ...values, guess: seen(guess), share: share(probability) });
    return make("li", "", "", make("b", "", one.querySelector("h3").textContent), make("br", "", ""), facts);
  });
  return [make("h4", "", words.others), make("ul", "elsewhere", "", ...rows)];
};

const detail = () => {
  const one = section(selected.reader), list = tokens(one), number = selected.number;
  const token = { ...list[number], last: number === list.length - 1 };
  const words = JSON.parse(view().dataset.words);
  const here = make("button", "branch", words.branch);
  here.type = "button";
  here.title = words.branch_about;
  const rows = token.others.map((other) => bar(other, token, words));
  if (token.rank > token.others.length) rows.push(bar([token.id, token.text, token.probability], token, words));
  const panel = element.querySelector(".detail");
  panel.style.setProperty("--edge", one.style.getPropertyValue("--edge"));
  panel.replaceChildren(
    make("header", "", "", make("h3", "", seen(token.text)), make("p", "quiet", one.querySelector("h3").textContent)),
    measures(token, words),
    make("div", "head", "", make("h4", "", words.likeliest), here),
    make("div", "others", "", ...rows),
    ...elsewhere(token, words),
  );
};

// Marks the selected token, and those that hold the same place in the other readings.
const mark = () => {
  const start = tokens(section(selected.reader))[selected.number].start;
  const last = selected.number === tokens(section(selected.reader)).length - 1;
  for (const one of sections()) {
    const own = one.dataset.reader === selected.reader, list = tokens(one);
    const number = own ? selected.number : last ? list.length - 1 : at(list, start);
    for (const token of one.querySelectorAll(".token")) {
      const here = Number(token.dataset.number) === number;
      token.tabIndex = here ? 0 : -1;
      token.classList.toggle("same", here && !own);
      if (here && own) token.setAttribute("aria-current", "true");
      else token.removeAttribute("aria-current");
    }
    for (const dot of element.querySelectorAll(".plot circle"))
      if (dot.dataset.reader === one.dataset.reader) dot.classList.toggle("here", Number(dot.dataset.number) === number);
  }
};

const select = (reader, number) => {
  selected = { run: view().dataset.run, reader, number };
  mark();
  detail();
};

// A new reading has the colour that the field says by now, and opens on the token that surprised its first reader most.
const begin = () => {
  if (!view()) return;
  view().dataset.colour = document.querySelector("#tokens-colour input:checked")?.value ?? "rank";
  trees = {};
  if (!sections().length) return;
  if (selected?.run === view().dataset.run && button(selected.reader, selected.number)) return select(selected.reader, selected.number);
  const one = sections()[0], surprises = tokens(one).map((token) => token.surprise);
  select(one.dataset.reader, surprises.indexOf(Math.max(...surprises)));
};

const beside = (key) => {
  const list = sections(), here = list.findIndex((one) => one.dataset.reader === selected.reader);
  const own = tokens(list[here]), last = own.length - 1;
  if (key === "Home" || key === "End") return [selected.reader, key === "Home" ? 0 : last];
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const number = selected.number + (key === "ArrowLeft" ? -1 : 1);
    return [selected.reader, Math.min(last, Math.max(0, number))];
  }
  const next = list[here + (key === "ArrowUp" ? -1 : 1)];
  if (!next) return null;
  const number = selected.number === last ? tokens(next).length - 1 : at(tokens(next), own[selected.number].start);
  return [next.dataset.reader, number];
};

element.addEventListener("click", (event) => {
  const token = event.target.closest(".token");
  if (token) return select(token.closest(".reading").dataset.reader, Number(token.dataset.number));
  const dot = event.target.closest(".plot circle");
  if (dot) return select(dot.dataset.reader, Number(dot.dataset.number));
  const other = event.target.closest(".detail .other, .detail .branch");
  if (!other || !selected) return;
  const id = other.dataset.token === undefined ? null : Number(other.dataset.token);
  trigger("branch", { reader: selected.reader, position: selected.number, token: id });
});

element.addEventListener("keydown", (event) => {
  const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];
  if (!event.target.closest(".token") || !selected || !keys.includes(event.key)) return;
  event.preventDefault();
  const next = beside(event.key);
  if (!next) return;
  select(...next);
  button(...next)?.focus();
});

watch("value", begin);
begin();
