// What the page shows, as one object: kept in the browser, and in links that people share.

export type Task = "generate" | "complete" | "translate" | "explain";

export const TASKS: Record<Task, { title: string; verb: string; input: string; path: string }> = {
  generate: { title: "Generate", verb: "Generate", input: "What should the program do?", path: "v1/code/generate" },
  complete: { title: "Complete", verb: "Complete at the cursor", input: "Code", path: "v1/completions" },
  translate: { title: "Translate", verb: "Translate", input: "Code", path: "v1/code/translate" },
  explain: { title: "Explain", verb: "Explain", input: "Code", path: "v1/code/explain" },
};

export interface State {
  task: Task;
  texts: Record<Task, string>;
  cursor: number;
  language: string;
  source: string;
  target: string;
  temperature: number;
  top_p: number;
  max_tokens: number;
  n: number;
  seed: number | null;
}

const MEAN = "def mean(numbers):\n    total = 0\n    for number in numbers:\n        \n    return total / len(numbers)\n";

export const FIRST: State = {
  task: "generate",
  texts: {
    generate: "write a factorial function",
    complete: MEAN,
    translate: "def add(a, b):\n    return a + b\n",
    explain: "def add(a, b):\n    return a + b\n",
  },
  cursor: MEAN.indexOf("        \n") + 8,
  language: "python",
  source: "python",
  target: "java",
  temperature: 0.7,
  top_p: 0.9,
  max_tokens: 128,
  n: 1,
  seed: null,
};

const KEPT = "codegeex-playground";

/** As many as the page lets one choose. */
const MOST_ANSWERS = 8;

/** The state that a link carries, else the one that was kept, else the first. */
export function initial(): State {
  return read(location.hash.slice(1)) ?? read(localStorage.getItem(KEPT) ?? "") ?? structuredClone(FIRST);
}

export function keep(state: State): void {
  try {
    localStorage.setItem(KEPT, written(state));
  } catch {
    // a browser that keeps nothing, or no more: the page works without
  }
}

/** An address of this page that shows the same; what it carries stays behind the #, which no server sees. */
export function link(state: State): string {
  const texts = { ...FIRST.texts, [state.task]: state.texts[state.task] };
  return location.href.replace(/#.*/, "") + "#" + written({ ...state, texts });
}

function written(state: State): string {
  const bytes = new TextEncoder().encode(JSON.stringify(state));
  const letters = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function read(text: string): State | null {
  try {
    const bytes = Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
    return checked(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return null; // no link, or one that was cut
  }
}

/** A state from outside: what is of the wrong type or unknown gives way to the first state's. */
function checked(found: Record<string, unknown>): State {
  const state: State = structuredClone(FIRST);
  const texts = (found.texts ?? {}) as Record<string, unknown>;
  for (const task of Object.keys(TASKS) as Task[]) {
    if (typeof texts[task] === "string") state.texts[task] = texts[task];
    if (found.task === task) state.task = task;
  }
  for (const name of ["language", "source", "target"] as const) {
    if (typeof found[name] === "string") state[name] = found[name];
  }
  for (const name of ["cursor", "temperature", "top_p", "max_tokens", "n"] as const) {
    if (Number.isFinite(found[name])) state[name] = found[name] as number;
  }
  if (Number.isFinite(found.seed)) state.seed = found.seed as number;
  state.n = Math.min(MOST_ANSWERS, Math.max(1, Math.round(state.n)));
  return state;
}
