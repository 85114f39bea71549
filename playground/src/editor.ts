// An editor with the language's colours, and text that is proposed at its cursor but not part of it.

import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { cpp } from "@codemirror/lang-cpp";
import { go } from "@codemirror/lang-go";
import { java } from "@codemirror/lang-java";
import { javascript } from "@codemirror/lang-javascript";
import { python } from "@codemirror/lang-python";
import { rust } from "@codemirror/lang-rust";
import { bracketMatching, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState, Extension, Prec, StateEffect, StateField } from "@codemirror/state";
import { Decoration, DecorationSet, EditorView, KeyBinding, WidgetType, keymap, lineNumbers } from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";

const GRAMMARS: Record<string, () => Extension> = {
  python,
  cpp,
  c: cpp,
  cuda: cpp,
  java,
  javascript,
  typescript: () => javascript({ typescript: true }),
  go,
  rust,
};

class Proposal extends WidgetType {
  constructor(readonly text: string) {
    super();
  }
  override eq(other: Proposal): boolean {
    return other.text === this.text;
  }
  toDOM(): HTMLElement {
    const span = document.createElement("span");
    span.className = "proposal";
    span.textContent = this.text;
    return span;
  }
}

const propose = StateEffect.define<string>();

const proposal = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(shown, change) {
    for (const effect of change.effects) {
      if (effect.is(propose)) {
        const widget = Decoration.widget({ widget: new Proposal(effect.value), side: 1 });
        return effect.value ? Decoration.set(widget.range(change.state.selection.main.head)) : Decoration.none;
      }
    }
    return change.docChanged || change.selection ? Decoration.none : shown;
  },
  provide: (field) => EditorView.decorations.from(field),
});

function proposed(state: EditorState): { text: string; at: number } | null {
  const cursor = state.field(proposal).iter();
  return cursor.value ? { text: (cursor.value.spec.widget as Proposal).text, at: cursor.from } : null;
}

export class Editor {
  readonly view: EditorView;
  private readonly grammar = new Compartment();

  constructor(parent: HTMLElement, label: string, options: { readOnly?: boolean; keys?: KeyBinding[] } = {}) {
    this.view = new EditorView({
      parent,
      state: EditorState.create({
        extensions: [
          Prec.highest(keymap.of(options.keys ?? [])),
          lineNumbers(),
          history(),
          indentOnInput(),
          bracketMatching(),
          syntaxHighlighting(classHighlighter),
          proposal,
          keymap.of([...defaultKeymap, ...historyKeymap, indentWithTab]),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": label }),
          EditorState.readOnly.of(options.readOnly ?? false),
          this.grammar.of([]),
        ],
      }),
    });
  }

  get text(): string {
    return this.view.state.doc.toString();
  }

  set text(value: string) {
    this.view.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: value } });
  }

  get cursor(): number {
    return this.view.state.selection.main.head;
  }

  set cursor(place: number) {
    this.view.dispatch({ selection: { anchor: Math.max(0, Math.min(place, this.view.state.doc.length)) } });
  }

  set language(name: string) {
    this.view.dispatch({ effects: this.grammar.reconfigure(Object.hasOwn(GRAMMARS, name) ? (GRAMMARS[name]?.() ?? []) : []) });
  }

  /** Show text at the cursor; an empty one takes it away. */
  propose(text: string): void {
    this.view.dispatch({ effects: propose.of(text) });
  }

  /** Make the proposed text real; whether there was any. */
  accept(): boolean {
    const found = proposed(this.view.state);
    if (!found) return false;
    this.view.dispatch({
      changes: { from: found.at, insert: found.text },
      selection: { anchor: found.at + found.text.length },
      userEvent: "input.complete",
    });
    return true;
  }
}
