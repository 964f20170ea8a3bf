"use strict";
/*
 * A take as large as the window, and two of them: side by side, or one over the other to flip.
 */

class Viewer {
  constructor(desk) {
    this.desk = desk;
    this.dialog = null;
    this.mode = "one";
    this.other = 0;
    this.isFlipped = false;
  }

  get isOpen() {
    return this.dialog !== null;
  }

  /** Open it, or go to another mode; the mode that it is in closes it. */
  toggle(mode) {
    if (this.isOpen && this.mode === mode) {
      this.close();
      return;
    }
    if (!this.isOpen) this.#build();
    this.mode = mode;
    this.isFlipped = false;
    this.chooseOther();
    this.render();
  }

  close() {
    this.dialog?.close();
  }

  flip() {
    if (this.mode === "flip") this.isFlipped = !this.isFlipped;
    else {
      this.mode = "flip";
      this.isFlipped = true;
    }
    this.render();
  }

  /** Compare with what is shown; the shown take itself with the one beside it. */
  chooseOther() {
    const { scene, at } = this.desk;
    const takes = this.desk.takes(scene);
    const shown = takes.findIndex((take) => this.desk.isShown(scene, take));
    if (shown >= 0 && shown !== at.take) this.other = shown;
    else this.other = at.take > 0 ? at.take - 1 : Math.min(1, takes.length - 1);
  }

  /** Choose what is compared with, by steps or by number. */
  moveOther(to) {
    const count = this.desk.takes(this.desk.scene).length;
    this.other = Math.max(0, Math.min(count - 1, to));
    this.render();
  }

  #build() {
    this.title = make("h2");
    this.prompt = make("p", { class: "prompt" });
    this.figures = [this.#figure(), this.#figure()];
    this.stage = make("div", { class: "stage" }, ...this.figures.map((one) => one.element));
    this.hint = make("p", { class: "hint" });
    this.flipper = this.#button("Flip", "Space", () => this.flip());
    const buttons = make(
      "div",
      { class: "buttons" },
      this.#button("Back", "Esc", () => this.close()),
      this.#button("‹", "←", () => this.desk.goTake(this.desk.at.take - 1)),
      this.#button("›", "→", () => this.desk.goTake(this.desk.at.take + 1)),
      ...ACTIONS.slice(0, 4).map(([name, label, key]) => this.#button(label, key, () => this.desk.act(name))),
      this.#button("Compare", "C", () => this.desk.act("compare")),
      this.flipper,
      this.hint,
    );
    this.dialog = Dialogs.open("viewer", "Large", this.title, this.prompt, this.stage, buttons);
    this.dialog.tabIndex = -1;
    this.dialog.focus(); // not a button, which would take Enter and Space for itself
    this.dialog.addEventListener("close", () => {
      this.dialog = null;
      this.desk.board.reveal(this.desk.at.row);
      this.desk.board.focus();
    });
  }

  #button(label, key, act) {
    const names = { "‹": "Take before", "›": "Next take" };
    const words = { type: "button", text: label, "data-key": key, "aria-label": names[label] ?? null };
    return make("button", { ...words, onclick: act });
  }

  #figure() {
    const image = make("img", { alt: "" });
    const words = make("figcaption");
    image.addEventListener("error", () => put(image, "alt", "This picture cannot be shown."));
    return { element: make("figure", {}, image, words), image, words };
  }

  /** Bring all of it up to date with the desk's place. */
  render() {
    if (!this.isOpen) return;
    const { desk } = this;
    const { scene } = desk;
    const takes = desk.takes(scene);
    const right = takes[desk.at.take];
    const left = this.mode === "one" || takes.length < 2 ? null : takes[this.other];
    put(this.dialog, "data-mode", left ? this.mode : "one");
    put(this.dialog, "data-flipped", left && this.isFlipped ? "" : null);
    put(this.title, "text", `${scene.number} · ${scene.label}`);
    put(this.prompt, "text", desk.decisions.prompt(scene));
    this.#show(this.figures[0], scene, left);
    this.#show(this.figures[1], scene, right);
    put(this.hint, "text", left ? "Shift+← → left take · P X act on the marked one" : "J K scene");
    put(this.flipper, "hidden", left ? null : "");
  }

  #show(figure, scene, take) {
    put(figure.element, "hidden", take ? null : "");
    if (!take) {
      figure.image.removeAttribute("src");
      return;
    }
    put(figure.element, "data-mark", this.desk.mark(scene, take));
    put(figure.image, "alt", Take.alt(scene, take));
    const source = Take.picture(take);
    if (figure.image.getAttribute("src") !== source) {
      figure.image.removeAttribute("src");
      figure.image.setAttribute("src", source);
    }
    put(figure.words, "text", `${this.desk.caption(scene, take)}\n${Viewer.facts(take)}`);
  }

  /** Who made it, how large it is and what it cost, as text: a provider's address is no link. */
  static facts(take) {
    const size = take.width && take.height ? `${take.width} × ${take.height}` : "";
    const made = String(take.made_at ?? "").replace("T", " ").slice(0, 16);
    const cost = take.imported ? "" : Money.words(Money.micros(take.cost_usd));
    const maker = take.provider ?? take.plugin;
    const model = take.model === maker ? null : take.model;
    const parts = [maker, model, size, cost, made, take.url];
    return parts.filter(Boolean).join(" · ");
  }
}
