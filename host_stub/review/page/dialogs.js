"use strict";
/*
 * What asks or tells something in a window of its own: the keys, a note, other words, the file.
 *
 * Each is made when it opens and taken out when it closes, so that the page stays small.
 */

const KEYS = [
  ["Move", [
    ["J or ↓", "next scene"],
    ["K or ↑", "scene before"],
    ["← →", "take before, next take"],
    ["1 – 9", "that take"],
    ["Home, End", "first scene, last scene"],
  ]],
  ["Decide", [
    ["P", "pick this take, and go on to the next scene"],
    ["X", "reject this take"],
    ["R", "one more take of this scene (Shift+R: one fewer)"],
    ["N", "write a note"],
    ["E", "reword: another prompt for the next take"],
    ["U", "undo (Shift+U: redo)"],
  ]],
  ["Look", [
    ["Enter", "large, and back (so does a second click on a take)"],
    ["C", "compare with the shown take, side by side"],
    ["Space", "flip between the two"],
    ["D", "hide or show drafts"],
  ]],
  ["Find", [
    ["/", "search ids, words, notes; >0.10 finds what costs more"],
    ["F", "next filter (Shift+F: filter before)"],
    ["Esc", "close, or clear the search"],
  ]],
  ["Finish", [
    ["S", "save the decisions as a file"],
    ["O", "open a file of decisions"],
    ["Ctrl+P", "print as a storyboard"],
    ["T", "light or dark"],
    ["?", "this help"],
  ]],
];

const Dialogs = {
  /** Open a dialog with something in it; it is taken out when it closes. */
  open(id, label, ...inside) {
    const dialog = make("dialog", { id, "aria-label": label }, ...inside);
    dialog.addEventListener("close", () => {
      dialog.remove();
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
  },

  /** The dialog on top, if one is open. */
  top() {
    const open = document.querySelectorAll("dialog[open]");
    return open[open.length - 1] ?? null;
  },

  help() {
    const groups = KEYS.map(([name, keys]) => {
      const lines = keys.map(([key, words]) => make("li", { text: words, "data-key": key }));
      return make("ul", { "aria-label": name, "data-name": name }, ...lines);
    });
    const close = make("button", { type: "button", text: "Close", "data-key": "Esc" });
    const dialog = Dialogs.open(
      "keys",
      "Keys",
      make("h2", { text: "Keys" }),
      make("p", {
        text: "A row is a scene, its takes stand side by side, the newest on the right. Pick the "
          + "take that the story shall show, ask for one more where none is right, and save the "
          + "file when you are done. Nothing is made or paid before somebody runs it.",
      }),
      make("div", { class: "groups" }, ...groups),
      make("p", {
        text: "✓ is what you picked, ● what the story shows now. Decisions stay in this browser "
          + "until you take them back.",
      }),
      make("p", { class: "buttons" }, close),
    );
    close.addEventListener("click", () => dialog.close());
    close.focus({ preventScroll: true });
    dialog.scrollTop = 0; // opening it focused the button at its end
  },

  /** Ask for words about a scene; ``done`` is given them, unless the person thinks better of it. */
  words({ id, title, about, value, hint, most }, done) {
    const area = make("textarea", { id: `${id}-words`, rows: "5", maxlength: most });
    area.value = value;
    const keep = make("button", { type: "submit", text: "Save", "data-key": "Ctrl+Enter" });
    const form = make(
      "form",
      { method: "dialog" },
      make("label", { for: `${id}-words`, text: title }),
      make("p", { class: "about", text: about }),
      area,
      make("p", { class: "hint", text: hint }),
      make("p", { class: "buttons" }, keep),
    );
    const dialog = Dialogs.open(id, title, form);
    const finish = (event) => {
      event.preventDefault();
      dialog.close();
      done(Decisions.words(area.value).trim());
    };
    form.addEventListener("submit", finish);
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) finish(event);
    });
    area.focus();
  },

  /** Show what the file will say and cost, and how the next run is given it. */
  save(desk) {
    const name = make("input", { id: "reviewer", autocomplete: "name", maxlength: "80" });
    name.value = desk.decisions.reviewer;
    const keep = make("button", { type: "submit", text: "Save the file", "data-key": "Enter" });
    const copy = make("button", { type: "button", text: "Copy as text" });
    const open = make("button", { type: "button", text: "Open a file…", "data-key": "O" });
    const said = make("p", { class: "hint", role: "status" });
    const file = () => Dialogs.fileName(name.value);
    const price = make("code", {});
    const run = make("code", {});
    const tell = () => {
      const command = `${desk.story.command} --decisions ${file()}`;
      put(price, "text", command);
      put(run, "text", command.replace(/^host-stub plan /, "host-stub run "));
    };
    const form = make(
      "form",
      { method: "dialog" },
      make("h2", { text: "Save decisions" }),
      make("p", { text: desk.summary() }),
      make("label", { for: "reviewer", text: "Your name" }),
      name,
      make("p", {}, "Its price, and which of them hold: ", price),
      make("p", {}, "Carry them out: ", run),
      make("p", { class: "buttons" }, keep, copy, open),
      said,
    );
    const dialog = Dialogs.open("saving", "Save decisions", form);
    tell();
    name.addEventListener("input", () => {
      desk.decisions.reviewer = Shelf.word("reviewer", name.value.trim());
      tell();
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      put(said, "text", await Dialogs.toFile(file(), desk.decisions.file()));
    });
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(desk.decisions.file());
        put(said, "text", "Copied.");
      } catch {
        put(said, "text", "This browser does not let pages copy; save the file instead.");
      }
    });
    open.addEventListener("click", () => {
      dialog.close();
      Dialogs.fromFile(desk);
    });
    (name.value ? keep : name).focus();
  },

  fileName(reviewer) {
    const plain = reviewer.trim().toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-");
    return `decisions-${plain.replace(/^-+|-+$/g, "") || "mine"}.json`;
  },

  /** Write a file where the person says, or into the downloads; returns what came of it. */
  async toFile(name, text) {
    if (window.showSaveFilePicker) {
      try {
        const types = [{ description: "Decisions", accept: { "application/json": [".json"] } }];
        const handle = await window.showSaveFilePicker({ suggestedName: name, types });
        const out = await handle.createWritable();
        await out.write(text);
        await out.close();
        return `Saved as ${handle.name}.`;
      } catch (error) {
        if (error.name === "AbortError") return "Not saved.";
      }
    }
    const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    make("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
    return `Saved as ${name} with your downloads.`;
  },

  fromFile(desk) {
    const input = make("input", { type: "file", accept: ".json,application/json" });
    input.addEventListener("change", async () => {
      const [file] = input.files;
      if (file) desk.open(file.name, await file.text());
    });
    input.click();
  },
};
