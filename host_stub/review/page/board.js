"use strict";
/*
 * The rows: one for each scene, and of ten thousand only those that can be seen.
 *
 * A row that leaves the window at one end is filled anew for the scene that comes in at the other,
 * and nothing of it is touched that stays the same. All rows have one height, which look.css sets.
 */

/** Make an element; text is text, and never read as markup. */
function make(tag, attributes = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...inside);
  return element;
}

/** Set what differs: an element that stays as it is costs nothing. */
function put(element, name, value) {
  if (name === "text") {
    if (element.textContent !== value) element.textContent = value;
  } else if (value === null || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, value);
  }
}

/** The elements of one row, and the scene that they stand for. */
class Row {
  constructor(slot, desk) {
    this.desk = desk;
    this.index = -1;
    this.scene = null;
    this.name = make("h2", { id: `name-${slot}` });
    this.facts = make("p", { class: "facts" });
    this.prompt = make("p", { class: "prompt" });
    this.note = make("p", { class: "note", hidden: "" });
    this.takes = make("div", { class: "takes", role: "listbox", "aria-labelledby": `name-${slot}` });
    this.takes.setAttribute("aria-orientation", "horizontal");
    this.head = make("div", { class: "head" }, this.name, this.facts, this.note, this.prompt);
    this.element = make("article", { "aria-labelledby": `name-${slot}` }, this.head, this.takes);
    this.tiles = [];
  }

  /** Stand for a scene; without one, for nothing. */
  fill(index, scene, count, top) {
    const isSame = this.scene === scene;
    this.index = index;
    this.scene = scene;
    put(this.element, "hidden", scene ? null : "");
    if (!scene) return;
    this.element.style.transform = `translateY(${top}px)`;
    put(this.element, "aria-posinset", index + 1);
    put(this.element, "aria-setsize", count);
    put(this.name, "text", `${scene.isSheet ? "Sheet" : scene.number} · ${scene.isSheet ? scene.name || scene.id : scene.id}`);
    this.mark();
    if (!isSame) this.show(this.desk.takeAt(scene));
  }

  /** Write down what is decided, and put the focus' mark where it is. */
  mark() {
    const { scene, desk } = this;
    const decisions = desk.decisions;
    const takes = desk.takes(scene);
    put(this.element, "data-state", scene.state);
    const said = desk.said(scene);
    put(this.element, "data-decided", said);
    put(this.name, "data-said", said);
    put(this.facts, "text", desk.facts(scene));
    put(this.prompt, "text", decisions.prompt(scene));
    const note = decisions.notes(scene);
    put(this.note, "text", note);
    put(this.note, "hidden", note ? null : "");
    const count = Math.max(1, takes.length);
    while (this.tiles.length > count) this.tiles.pop().element.remove();
    while (this.tiles.length < count) this.#addTile();
    this.tiles.forEach((tile, at) => this.#fillTile(tile, at, takes[at]));
  }

  #addTile() {
    const image = make("img", { alt: "", decoding: "async" });
    const words = make("span");
    const element = make("div", { role: "option", class: "take", tabindex: "-1" }, image, words);
    const tile = { element, image, words, take: null };
    image.addEventListener("error", () => this.desk.pictureFailed(this, tile));
    element.dataset.at = this.tiles.length;
    this.tiles.push(tile);
    this.takes.append(element);
  }

  #fillTile(tile, at, take) {
    const { scene, desk } = this;
    const decisions = desk.decisions;
    const isStop = at === Math.min(desk.takeAt(scene), this.tiles.length - 1);
    tile.take = take ?? null;
    put(tile.element, "tabindex", isStop ? "0" : "-1");
    put(tile.element, "aria-selected", take ? String(desk.isShown(scene, take)) : "false");
    put(tile.element, "data-mark", take ? desk.mark(scene, take) : "none");
    put(tile.element, "data-kind", take ? (take.draft ? "draft" : take.state) : "none");
    put(tile.words, "text", take ? desk.caption(scene, take) : "no picture yet");
    if (!take) {
      tile.image.removeAttribute("src");
      put(tile.image, "alt", "");
      put(tile.image, "hidden", "");
      return;
    }
    put(tile.image, "hidden", null);
    put(tile.image, "alt", Take.alt(scene, take));
    const source = desk.thumb(take);
    if (tile.image.getAttribute("src") === source) return;
    tile.image.removeAttribute("src"); // else the former scene's picture stays until this one is there
    if (source) tile.image.setAttribute("src", source);
    put(tile.element, "data-waiting", source ? null : "");
  }

  /** Bring a take of it into view, where a row has more than fit. */
  show(at) {
    const tile = this.tiles[at];
    if (!tile || this.takes.scrollWidth <= this.takes.clientWidth) return;
    const left = tile.element.offsetLeft - (this.takes.clientWidth - tile.element.offsetWidth) / 2;
    this.takes.scrollLeft = left;
  }
}

/** The window over all rows. */
class Board {
  constructor(desk) {
    this.desk = desk;
    this.scroller = document.getElementById("scroller");
    this.host = document.getElementById("board");
    this.scenes = [];
    this.pool = [];
    this.height = 0;
    this.scroller.addEventListener("scroll", () => this.render(), { passive: true });
    window.addEventListener("resize", () => this.measure());
  }

  /** Show other scenes, or the same in a newer state. */
  list(scenes) {
    this.scenes = scenes;
    if (this.height === 0) this.measure();
    this.host.style.height = `${scenes.length * this.height}px`;
    put(this.host, "role", scenes.length > 0 ? "feed" : "group"); // a feed has rows
    for (const row of this.pool) row.scene = null;
    this.render(true);
    this.#sayIfEmpty();
  }

  #sayIfEmpty() {
    this.empty?.remove();
    this.empty = null;
    if (this.scenes.length > 0) return;
    const words = "No scene is like that. Esc clears the search, F goes to the next filter.";
    this.empty = make("p", { id: "empty", text: words });
    this.scroller.append(this.empty);
  }

  /** Learn how high rows are, and make as many as can be seen. */
  measure() {
    if (this.pool.length === 0) this.#grow(1);
    const [row] = this.pool;
    put(row.element, "hidden", null);
    const height = row.element.offsetHeight || 200;
    this.visible = this.scroller.clientHeight;
    const wanted = Math.ceil(this.visible / height) + 1;
    const top = this.height ? this.scroller.scrollTop / this.height : 0;
    const changed = height !== this.height || wanted !== this.pool.length;
    this.height = height;
    while (this.pool.length > wanted) this.pool.pop().element.remove();
    this.#grow(wanted);
    if (!changed) return;
    this.host.style.height = `${this.scenes.length * height}px`;
    this.scroller.scrollTop = top * height;
    for (const one of this.pool) one.index = -1;
    this.render(true);
  }

  #grow(size) {
    while (this.pool.length < size) {
      const row = new Row(this.pool.length, this.desk);
      this.pool.push(row);
      this.host.append(row.element);
    }
  }

  /** Fill the rows that have come into view; ``anew`` fills all. */
  render(anew = false) {
    if (this.height === 0) return;
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / this.height));
    const after = Math.min(this.scenes.length, first + this.pool.length);
    this.#followTheEye(first);
    for (let index = first; index < first + this.pool.length; index += 1) {
      const row = this.pool[index % this.pool.length];
      if (!anew && row.index === index) continue;
      const scene = index < after ? this.scenes[index] : null;
      row.fill(index, scene, this.scenes.length, index * this.height);
    }
  }

  /** Where the wheel has taken the row with the focus out of the window, the focus comes along. */
  #followTheEye(first) {
    const at = this.desk.at.row;
    const last = Math.min(this.scenes.length, first + this.pool.length) - 1;
    if (last < 0 || (at >= first && at <= last)) return;
    const had = this.host.contains(document.activeElement);
    this.desk.comeTo(at < first ? Math.min(first + 1, last) : Math.max(first, last - 1));
    if (had) queueMicrotask(() => this.focus());
  }

  rowOf(index) {
    const row = this.pool[index % (this.pool.length || 1)];
    return row?.index === index && row.scene ? row : null;
  }

  rowOfScene(scene) {
    return this.pool.find((row) => row.scene === scene) ?? null;
  }

  /** Scroll so far that a row can be seen whole. */
  reveal(index) {
    const top = index * this.height;
    const bottom = top + this.height - this.visible;
    const now = this.scroller.scrollTop;
    if (now > top) this.scroller.scrollTop = top;
    else if (now < bottom) this.scroller.scrollTop = this.height > this.visible ? top : bottom;
    if (this.scroller.scrollTop !== now) this.render();
  }

  /** Put the keyboard's focus on the take at the desk's place. */
  focus() {
    const row = this.rowOf(this.desk.at.row);
    const tile = row?.tiles[this.desk.at.take];
    if (!tile) return;
    row.show(this.desk.at.take);
    tile.element.focus({ preventScroll: true });
  }
}
