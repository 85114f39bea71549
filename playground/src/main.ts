import { Chunk, Refused, served, stream } from "./api";
import { Editor } from "./editor";
import { TASKS, Task, initial, keep, link } from "./state";
import "./style.css";

const state = initial();
const $ = <T extends HTMLElement = HTMLElement>(id: string): T => document.getElementById(id) as T;
const NUMBERS = ["temperature", "top_p", "max_tokens", "n"] as const;
const LANGUAGES = ["language", "source", "target"] as const;

let answers: string[] = [];
let shown = 0;
let running: AbortController | null = null;

// ---- editors --------------------------------------------------------------------------------------------------------

const keys = [
  { key: "Mod-Enter", run: () => (void run(), true) },
  { key: "Tab", run: () => accept() },
  { key: "Escape", run: () => stop() || dismiss() },
  { key: "Alt-]", run: () => turn(1) },
  { key: "Alt-[", run: () => turn(-1) },
];
const input = new Editor($("input"), "Input", { keys });
const output = new Editor($("output"), "Answer", { readOnly: true, keys });

function accept(): boolean {
  const done = state.task === "complete" && input.accept();
  if (done) forget();
  return done;
}

function dismiss(): boolean {
  if (!answers.length) return false;
  forget();
  return true;
}

function turn(by: number): boolean {
  if (answers.length < 2) return false;
  show((shown + by + answers.length) % answers.length);
  return true;
}

/** Take the answers off the page. */
function forget(): void {
  answers = [];
  show(0);
}

function show(index: number): void {
  shown = index;
  const text = answers[index] ?? "";
  if (state.task === "complete") input.propose(text);
  else output.text = text;
  $("accept").hidden = state.task !== "complete" || !text;
  $("alternatives").replaceChildren(
    ...(answers.length < 2 ? [] : answers).map((_, number) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = String(number + 1);
      button.setAttribute("aria-pressed", String(number === shown));
      button.title = "Alt+[ and Alt+] turn through the alternatives";
      button.onclick = () => show(number);
      return button;
    }),
  );
}

// ---- a request ------------------------------------------------------------------------------------------------------

function asked(): object {
  const text = input.text;
  const { temperature, top_p, max_tokens, n, language } = state;
  const sampling = { temperature, top_p, max_tokens, n, ...(state.seed === null ? {} : { seed: state.seed }) };
  switch (state.task) {
    case "generate":
      return { intent: text, language, ...sampling };
    case "explain":
      return { code: text, language, ...sampling };
    case "translate":
      return { code: text, source: state.source, target: state.target, ...sampling };
    case "complete": {
      const [prompt, suffix] = [text.slice(0, input.cursor), text.slice(input.cursor)];
      return { prompt, language, ...(suffix.trim() ? { suffix } : {}), ...sampling };
    }
  }
}

async function run(): Promise<void> {
  stop();
  remember();
  const own = (running = new AbortController());
  answers = Array(state.n).fill("");
  show(0);
  say("…");
  busy(true);
  try {
    await stream(TASKS[state.task].path, asked(), $<HTMLInputElement>("key").value, own.signal, (chunk) => {
      if (running === own) take(chunk);
    });
  } catch (error) {
    if (running === own) say(problem(error), true);
  } finally {
    if (running === own) {
      running = null;
      busy(false);
    }
  }
}

function take(chunk: Chunk): void {
  for (const choice of chunk.choices) answers[choice.index] = (answers[choice.index] ?? "") + choice.text;
  if (chunk.choices.some((choice) => choice.index === shown)) show(shown);
  if (chunk.usage && chunk.timings) {
    const { first_token_ms, total_ms } = chunk.timings;
    const speed = chunk.usage.completion_tokens / Math.max(total_ms / 1000, 0.001);
    const cut = chunk.truncated ? " · the input was too long and was cut" : "";
    const nothing = answers.every((answer) => !answer) ? " · the model has nothing to add here" : "";
    say(
      `${chunk.usage.completion_tokens} tokens · ${Math.round(speed)} tokens/s · first after ` +
        `${Math.round(first_token_ms)} ms${cut}${nothing}`,
    );
  }
}

function stop(): boolean {
  if (!running) return false;
  running.abort();
  running = null;
  busy(false);
  say("stopped");
  return true;
}

function problem(error: unknown): string {
  if (error instanceof Refused) {
    if (error.status === 401) askForKey();
    return error.message;
  }
  return "the server cannot be reached.";
}

// ---- the page around ------------------------------------------------------------------------------------------------

function say(words: string, wrong = false): void {
  $("status").textContent = words;
  $("status").classList.toggle("wrong", wrong);
}

function busy(yes: boolean): void {
  $("stop").hidden = !yes;
  $("run").setAttribute("aria-busy", String(yes));
}

function askForKey(): void {
  $("key-field").hidden = false;
  $("key").focus();
}

function choose(task: Task): void {
  remember();
  stop();
  forget();
  state.task = task;
  document.body.dataset.task = task;
  for (const tab of $("tabs").children) tab.setAttribute("aria-selected", String(tab.id === `tab-${task}`));
  $("input-title").textContent = TASKS[task].input;
  $("run").innerHTML = `${TASKS[task].verb} <kbd>Ctrl ↵</kbd>`;
  input.text = state.texts[task];
  if (task === "complete") input.cursor = state.cursor;
  colour();
  say("");
  keep(state);
}

/** What the page shows goes into the state. */
function remember(): void {
  state.texts[state.task] = input.text;
  if (state.task === "complete") state.cursor = input.cursor;
  for (const name of NUMBERS) {
    const field = $<HTMLInputElement>(name);
    if (field.value !== "" && field.checkValidity()) state[name] = field.valueAsNumber;
  }
  const seed = $<HTMLInputElement>("seed");
  state.seed = seed.value === "" || !seed.checkValidity() ? null : seed.valueAsNumber;
  for (const name of LANGUAGES) state[name] = $<HTMLSelectElement>(name).value || state[name];
  keep(state);
}

function colour(): void {
  input.language = { generate: "", complete: state.language, explain: state.language, translate: state.source }[state.task];
  output.language = state.task === "translate" ? state.target : state.language;
}

function listLanguages(known: Record<string, string>): void {
  const sorted = Object.entries(known).sort((one, other) => one[1].localeCompare(other[1]));
  for (const name of LANGUAGES) {
    $<HTMLSelectElement>(name).replaceChildren(...sorted.map(([key, title]) => new Option(title, key)));
    $<HTMLSelectElement>(name).value = Object.hasOwn(known, state[name]) ? state[name] : "python";
  }
}

async function greet(): Promise<void> {
  try {
    const card = await served($<HTMLInputElement>("key").value);
    $("model").textContent = `${card.id} · ${card.max_model_len} tokens`;
    listLanguages(card.capabilities.languages);
    say("");
  } catch (error) {
    say(problem(error), true);
  }
}

async function copied(text: string, words: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say(words);
  } catch {
    say("the browser does not allow copying here.", true);
  }
}

function build(): void {
  for (const [task, { title }] of Object.entries(TASKS)) {
    const tab = document.createElement("button");
    Object.assign(tab, { id: `tab-${task}`, type: "button", textContent: title, onclick: () => choose(task as Task) });
    tab.setAttribute("role", "tab");
    $("tabs").append(tab);
  }
  for (const name of [...NUMBERS, "seed"] as const) $<HTMLInputElement>(name).value = String(state[name] ?? "");
  input.text = state.texts[state.task];
  if (state.task === "complete") input.cursor = state.cursor;
  $("settings").onchange = () => (remember(), colour());
  $("settings").onsubmit = (event) => (event.preventDefault(), void run());
  $("run").onclick = () => void run();
  $("stop").onclick = () => stop();
  $("accept").onclick = () => (accept(), input.view.focus());
  $("copy").onclick = () => void copied(state.task === "complete" ? input.text : output.text, "copied");
  $("share").onclick = () => {
    remember();
    history.replaceState(null, "", link(state));
    void copied(location.href, "the link is in the clipboard");
  };
  $("key").onchange = () => void greet();
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented) return;
    if (event.key === "Escape") stop();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void run();
    const number = Number(event.key);
    const task = Object.keys(TASKS)[number - 1];
    if (event.altKey && task) (event.preventDefault(), choose(task as Task));
  });
  choose(state.task);
  void greet();
}

build();
