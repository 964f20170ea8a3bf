"use strict";
/*
 * The reviewer's desk: where one is in the story, what the keys do, and what the page says of it.
 */

const FILTERS = [
  ["all", "All", () => true],
  ["undecided", "Undecided", (scene, desk) => !desk.decisions.isDecided(scene)],
  ["picked", "Picked", (scene, desk) => Boolean(desk.decisions.picked(scene)) || scene.isPicked],
  ["again", "More wanted", (scene, desk) => desk.decisions.more(scene) > 0],
  ["new", "New takes", (scene, desk) => desk.decisions.hasNew(scene)],
  ["stale", "Stale", (scene) => scene.state === "stale"],
  ["missing", "Missing", (scene) => scene.state === "missing"],
  ["failed", "Failed", (scene) => scene.problem !== ""],
  ["unknown", "Unknown", (scene) => scene.state === "held" || scene.state === "pending"],
  ["noted", "Notes", (scene, desk) => desk.decisions.notes(scene) !== ""],
  ["dear", "Expensive", (scene, desk) => desk.isDear(scene)],
];

const ACTIONS = [
  ["pick", "Pick", "P"],
  ["reject", "Reject", "X"],
  ["again", "One more", "R"],
  ["note", "Note", "N"],
  ["prompt", "Reword", "E"],
  ["compare", "Compare", "C"],
  ["large", "Large", "Enter"],
  ["undo", "Undo", "U"],
];

class Desk {
  constructor(told) {
    this.story = new Story(told);
    this.shelf = new Shelf(this.story.id);
    this.decisions = new Decisions(this.story, this.shelf);
    this.at = { row: 0, take: 0 };
    this.rows = [];
    this.filter = "all";
    this.hidesDrafts = false;
    this.noThumb = new Set();
    this.parts = Object.fromEntries(
      ["title", "count", "money", "search", "filters", "deck", "said", "save", "theme", "help"]
        .map((id) => [id, document.getElementById(id)]),
    );
    this.#furnish();
    this.board = new Board(this);
    this.viewer = new Viewer(this);
    this.list();
    this.comeTo(0);
    this.board.render(true);
    this.tell();
    this.board.focus();
  }

  /* What the rows ask. */

  get scene() {
    return this.rows[this.at.row] ?? null;
  }

  get take() {
    return this.scene ? this.takes(this.scene)[this.at.take] ?? null : null;
  }

  takes(scene) {
    return this.hidesDrafts ? scene.takes.filter((take) => !take.draft) : scene.takes;
  }

  takeAt(scene) {
    return scene === this.scene ? this.at.take : this.#first(scene);
  }

  isAt(row, take) {
    return row === this.at.row && take === this.at.take;
  }

  shownTake(scene) {
    const picked = this.decisions.picked(scene);
    if (picked) return scene.take(picked) ?? null;
    return scene.takes.find((take) => take.take === scene.shown) ?? null;
  }

  isShown(scene, take) {
    const picked = this.decisions.picked(scene);
    return picked ? scene.take(picked) === take : take.take === scene.shown;
  }

  mark(scene, take) {
    const picked = this.decisions.picked(scene);
    if (picked && scene.take(picked) === take) return "pick";
    if (this.decisions.isRejected(scene, take)) return "reject";
    return take.take === scene.shown ? "shown" : "none";
  }

  caption(scene, take) {
    const mark = this.mark(scene, take);
    const parts = [`take ${take.take}`];
    if (mark === "pick") parts.push("✓ picked");
    if (mark === "reject") parts.push("✕ rejected");
    if (take.take === scene.shown) parts.push("● shown");
    return [...parts, ...Take.marks(take)].join(" · ");
  }

  /** The decision of a scene in a word or two, or null. */
  said(scene) {
    const one = this.decisions.of(scene);
    if (!one) return null;
    if (this.decisions.isOutdated(scene)) return "decided before it changed";
    const more = this.decisions.more(scene);
    const parts = [];
    if (one.show) parts.push(`✓ take ${scene.take(one.show)?.take ?? "gone"}`);
    if (more > 0) parts.push(`↻ ${more} more`);
    if (one.prompt) parts.push("new words");
    if (parts.length === 0 && one.reject?.length) parts.push(`✕ ${one.reject.length} rejected`);
    return parts.join(" · ") || null;
  }

  facts(scene) {
    const parts = [scene.standing];
    if (scene.toMake > 0) parts.push(`the next run makes ${scene.toMake}`);
    parts.push(scene.price === 0 ? "free" : `${Money.words(scene.price)} each`);
    return parts.join(" · ");
  }

  isDear(scene) {
    const cost = scene.spent + this.decisions.more(scene) * (scene.price ?? 0);
    return this.story.dear > 0 && cost >= this.story.dear;
  }

  /** The address of a small picture; the take's own where there is none yet. */
  thumb(take) {
    if (this.noThumb.has(take.path)) return null;
    return take.no_thumb || this.noThumb.has(take.sha256) ? Take.picture(take) : Take.thumb(take);
  }

  /** A picture is not there: try the take's own, and then say that it is in the making. */
  pictureFailed(row, tile) {
    const { take } = tile;
    if (!take) return;
    if (this.noThumb.has(take.sha256)) this.noThumb.add(take.path);
    this.noThumb.add(take.sha256);
    if (row.scene) row.mark();
  }

  /* Where one is. */

  #first(scene) {
    const takes = this.takes(scene);
    const at = takes.findIndex((take) => this.isShown(scene, take));
    return at >= 0 ? at : Math.max(0, takes.length - 1);
  }

  /** Be at another row, at the take that one would look at first. */
  comeTo(row, take) {
    const before = this.board.rowOf(this.at.row);
    const index = Math.max(0, Math.min(this.rows.length - 1, row));
    this.at = { row: index, take: 0 };
    if (this.scene) {
      const count = this.takes(this.scene).length;
      this.at.take = Math.max(0, Math.min(count - 1, take ?? this.#first(this.scene)));
    }
    before?.mark();
    this.board.rowOf(index)?.mark();
    this.tellPlace();
  }

  tellPlace() {
    const { scene } = this;
    const count = scene ? this.takes(scene).length : 0;
    const take = count ? ` · take ${this.at.take + 1} of ${count}` : "";
    const rows = `${this.at.row + 1} of ${this.rows.length}`;
    put(this.place, "text", scene ? `${rows}${take} · ? for help` : "? for help");
  }

  go(row, take) {
    if (this.rows.length === 0) return;
    this.comeTo(row, take);
    this.board.reveal(this.at.row);
    if (this.viewer.isOpen) {
      this.viewer.chooseOther();
      this.viewer.render();
    } else this.board.focus();
  }

  goTake(take) {
    this.comeTo(this.at.row, take);
    if (this.viewer.isOpen) this.viewer.render();
    else this.board.focus();
  }

  /** List the scenes that the filter and the search leave; the scene one was at stays if it can. */
  list() {
    const scene = this.scene;
    const test = FILTERS.find(([name]) => name === this.filter)[2];
    const words = this.parts.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const over = words.filter((word) => /^>\d*\.?\d+$/.test(word)).map((word) => Number(word.slice(1)) * 1e6);
    const plain = words.filter((word) => !/^>\d*\.?\d+$/.test(word));
    this.rows = this.story.scenes.filter((one) => {
      if (!test(one, this)) return false;
      if (over.some((micros) => one.spent <= micros)) return false;
      return plain.every((word) => one.text.includes(word) || this.decisions.notes(one).toLowerCase().includes(word));
    });
    const row = scene ? this.rows.indexOf(scene) : -1;
    this.at = { row: Math.max(0, row), take: row >= 0 ? this.at.take : 0 };
    if (row < 0 && this.scene) this.at.take = this.#first(this.scene);
    this.board.list(this.rows);
    if (row < 0) this.board.scroller.scrollTop = 0;
    this.board.reveal(this.at.row);
    this.tellPlace();
    this.tellFilters();
  }

  choose(filter) {
    this.filter = filter;
    this.list();
    this.board.focus();
  }

  chooseNext(step) {
    const names = FILTERS.map(([name]) => name);
    const at = names.indexOf(this.filter);
    for (let tried = 1; tried <= names.length; tried += 1) {
      const name = names[(at + tried * step + names.length * tried) % names.length];
      if (name === "all" || this.counts[name] > 0) {
        this.choose(name);
        return;
      }
    }
  }

  /* What is decided. */

  decide(scene, change) {
    this.decisions.decide(scene, change);
    this.#changed(scene);
  }

  #changed(scene) {
    this.board.rowOfScene(scene)?.mark();
    this.viewer.render();
    this.tell();
  }

  pick() {
    const { scene, take } = this;
    if (!take) {
      this.say("There is no picture to pick yet.");
      return;
    }
    const wasPicked = this.decisions.picked(scene) === take.sha256;
    const rejected = this.rejected(scene);
    this.decide(scene, (one) => {
      one.show = wasPicked ? undefined : take.sha256;
      if (!wasPicked && rejected.includes(take.sha256)) {
        one.reject = rejected.filter((sha256) => sha256 !== take.sha256);
      }
    });
    if (wasPicked) return;
    if (scene.state === "stale" && !take.draft) {
      this.say(`${scene.label} is stale: the next run makes it anew, and shows that one.`);
    }
    if (this.at.row === this.rows.length - 1) this.say("That was the last scene. S saves the file.");
    this.go(this.at.row + 1);
  }

  rejected(scene) {
    const takes = scene.takes.filter((take) => this.decisions.isRejected(scene, take));
    return takes.map((take) => take.sha256);
  }

  reject() {
    const { scene, take } = this;
    if (!take) {
      this.say("There is no picture to reject yet.");
      return;
    }
    const hashes = this.rejected(scene);
    const wasRejected = hashes.includes(take.sha256);
    this.decide(scene, (one) => {
      one.reject = wasRejected
        ? hashes.filter((sha256) => sha256 !== take.sha256)
        : [...hashes, take.sha256];
      const before = scene.takes.filter((other) => other.rejected).map((other) => other.sha256);
      if (before.length === 0 && one.reject.length === 0) one.reject = undefined;
      if (!wasRejected && one.show === take.sha256) one.show = undefined;
    });
    if (!wasRejected && this.isShown(scene, take)) {
      this.say(`Take ${take.take} stays shown until another is picked.`);
    }
  }

  /** Want one more take, or one fewer. A wanted state: so many in all, however often it is read. */
  again(step) {
    const { scene } = this;
    if (!scene) return;
    const one = this.decisions.of(scene);
    const anew = Boolean(one?.prompt);
    const least = anew ? 0 : scene.made + scene.toMake;
    const now = Math.max(one?.takes ?? 0, least, anew ? scene.own : 0);
    const wanted = Math.min(MOST_TAKES, now + step);
    this.decide(scene, (after) => {
      after.takes = wanted > least ? wanted : undefined;
    });
  }

  write() {
    const { scene } = this;
    if (!scene) return;
    Dialogs.words({
      id: "note",
      title: `Note on ${scene.label}`,
      about: "It is kept with the scene and shown here. It never becomes part of the prompt.",
      value: this.decisions.note(scene),
      hint: "Ctrl+Enter keeps it, Esc leaves it as it was.",
      most: MOST_NOTE,
    }, (words) => this.decide(scene, (one) => {
      one.note = words === scene.noteOf(this.decisions.reviewer) ? undefined : words;
    }));
  }

  reword() {
    const { scene } = this;
    if (!scene) return;
    const price = scene.price === 0 ? "free" : `at most ${Money.words(scene.price)}`;
    Dialogs.words({
      id: "rewording",
      title: `Another prompt for ${scene.label}`,
      about: `It is a new take, made by the next run: ${price}. The old takes stay.`,
      value: this.decisions.prompt(scene),
      hint: "Ctrl+Enter keeps it, Esc leaves it as it was.",
      most: MOST_PROMPT,
    }, (words) => this.decide(scene, (one) => {
      one.prompt = words === scene.prompt || words === "" ? undefined : words;
    }));
  }

  step(direction) {
    const id = direction < 0 ? this.decisions.undo() : this.decisions.redo();
    const scene = id === null ? null : this.story.byId.get(id);
    if (!scene) {
      this.say(direction < 0 ? "Nothing to undo." : "Nothing to do again.");
      return;
    }
    const row = this.rows.indexOf(scene);
    if (row >= 0) this.go(row);
    this.#changed(scene);
  }

  open(name, text) {
    try {
      this.say(`${name}: ${this.decisions.open(text)}`);
    } catch (error) {
      this.say(`${name} cannot be used: ${error.message}`);
    }
    this.board.render(true);
    this.tell(true);
  }

  toggleDrafts() {
    const { take } = this;
    this.hidesDrafts = !this.hidesDrafts;
    const at = this.scene ? this.takes(this.scene).indexOf(take) : -1;
    this.comeTo(this.at.row, at >= 0 ? at : undefined);
    this.board.list(this.rows);
    this.board.focus();
    this.say(this.hidesDrafts ? "Drafts are hidden." : "Drafts are shown.");
  }

  toggleTheme() {
    const root = document.documentElement;
    const isDark = getComputedStyle(root).colorScheme.includes("dark");
    Desk.theme(isDark ? "light" : "dark");
  }

  static theme(name) {
    if (name === "light" || name === "dark") document.documentElement.dataset.theme = name;
    Shelf.word("theme", name);
  }

  /** Take over what a run has made since; one stays where one is. */
  adopt(told) {
    const story = new Story(told);
    const here = this.scene?.id;
    const take = this.take?.sha256;
    const listed = new Set(this.rows.map((scene) => scene.id));
    const known = this.story.byId;
    this.story = story;
    this.noThumb.clear();
    this.decisions.adopt(this.story);
    const test = FILTERS.find(([name]) => name === this.filter)[2];
    this.rows = this.story.scenes.filter((scene) => (
      known.has(scene.id) ? listed.has(scene.id) : test(scene, this)
    ));
    const row = Math.max(0, this.rows.findIndex((scene) => scene.id === here));
    this.at = { row, take: 0 };
    if (this.scene) {
      const at = this.takes(this.scene).findIndex((one) => one.sha256 === take);
      this.at.take = at >= 0 ? at : this.#first(this.scene);
    }
    this.board.list(this.rows);
    this.viewer.render();
    this.tell(true);
  }

  /* What the page says. */

  #furnish() {
    const { filters, deck } = this.parts;
    const { story } = this;
    put(this.parts.title, "text", story.name || "Review");
    document.documentElement.style.setProperty("--aspect", String(story.aspect));
    document.title = story.name ? `${story.name} · review` : "Review";
    this.chips = {};
    for (const [name, label] of FILTERS) {
      const chip = make("button", { type: "button", text: label, "aria-pressed": "false" });
      chip.dataset.filter = name;
      chip.addEventListener("click", () => this.choose(name));
      this.chips[name] = chip;
      if (name === "all") filters.append(chip);
    }
    for (const [name, label, key] of ACTIONS) {
      const button = make("button", { type: "button", text: label, "data-key": key, "data-do": name });
      button.addEventListener("click", () => this.act(name));
      deck.append(button);
    }
    this.place = make("p", { id: "place" });
    deck.prepend(this.parts.said);
    deck.append(this.place);
  }

  act(name, event) {
    const back = event?.shiftKey ? -1 : 1;
    put(this.parts.said, "text", "");
    const acts = {
      pick: () => this.pick(),
      reject: () => this.reject(),
      again: () => this.again(back),
      note: () => this.write(),
      prompt: () => this.reword(),
      compare: () => this.compare(),
      large: () => this.viewer.toggle("one"),
      undo: () => this.step(-back),
    };
    acts[name]();
  }

  compare() {
    if (!this.scene || this.takes(this.scene).length < 2) this.say("There is one take only.");
    else this.viewer.toggle(this.viewer.mode === "flip" && this.viewer.isOpen ? "flip" : "side");
  }

  say(words) {
    put(this.parts.said, "text", words);
  }

  /** Count anew; the chips follow when the hand rests, since a key is to touch little. */
  tell(now = false) {
    const { sum } = this.decisions;
    put(this.board.host, "aria-busy", this.story.isWhole ? null : "true");
    put(this.parts.title, "data-running", this.story.isRunning ? "" : null);
    put(this.parts.count, "text", `${sum.decided} of ${this.story.count} decided`);
    put(this.parts.money, "text", this.price());
    if (this.shelf.failure) {
      this.say("This browser keeps nothing: save the file before you close the page.");
    }
    clearTimeout(this.timer);
    if (now) this.tellFilters();
    else this.timer = setTimeout(() => this.tellFilters(), 400);
  }

  price() {
    const { sum } = this.decisions;
    const more = sum.pictures === 0 ? "nothing" : Desk.atMost(sum.pictures, sum.micros, sum.unknown);
    const all = Desk.atMost(0, sum.next, sum.nextUnknown);
    const spent = this.story.spent === null ? "" : ` · spent ${Money.words(this.story.spent)}`;
    return `Decisions add ${more}\nNext run: ${all}${spent}`;
  }

  static atMost(pictures, micros, unknown) {
    const count = pictures > 0 ? `${pictures} ${pictures === 1 ? "picture" : "pictures"}, ` : "";
    if (unknown > 0) return `${count}at least ${Money.words(micros)}, ${unknown} of unknown price`;
    return `${count}${micros === 0 ? "free" : `at most ${Money.words(micros)}`}`;
  }

  summary() {
    const { sum } = this.decisions;
    const said = this.story.scenes.filter((scene) => this.decisions.of(scene));
    const count = said.filter((scene) => !this.decisions.isDone(scene)).length;
    return `${count} ${count === 1 ? "scene has" : "scenes have"} a decision to be carried out. ${this.price().replace("\n", ". ")}. `
      + `${this.story.scenes.length - sum.decided} are undecided.`;
  }

  tellFilters() {
    this.counts = Object.fromEntries(FILTERS.map(([name]) => [name, 0]));
    for (const scene of this.story.scenes) {
      for (const [name, , test] of FILTERS) if (test(scene, this)) this.counts[name] += 1;
    }
    const { filters } = this.parts;
    let place = 0;
    for (const [name, label] of FILTERS) {
      const chip = this.chips[name];
      const words = name === "dear" ? `${label} (${Money.words(this.story.dear)} and more)` : label;
      put(chip, "text", `${words} ${this.counts[name]}`);
      put(chip, "aria-pressed", String(this.filter === name));
      const isThere = place < 2 || this.filter === name || this.counts[name] > 0; // two stay
      if (!isThere) chip.remove();
      else if (filters.children[place] !== chip) filters.insertBefore(chip, filters.children[place]);
      if (isThere) place += 1;
    }
  }
}

function begin() {
  Desk.theme(Shelf.word("theme"));
  let desk;
  try {
    desk = new Desk(window.stage3Review ?? null);
  } catch (error) {
    document.getElementById("board").append(make("p", { id: "broken", text: String(error.message) }));
    return;
  }
  delete window.stage3Review;
  Keys.listen(desk);
  const { search, save, theme, help } = desk.parts;
  let typing;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => desk.list(), 120);
  });
  save.addEventListener("click", () => Dialogs.save(desk));
  theme.addEventListener("click", () => desk.toggleTheme());
  help.addEventListener("click", () => Dialogs.help());
  const { host } = desk.board;
  const found = (event) => {
    const tile = event.target.closest(".take");
    const row = desk.board.pool.find((one) => one.element.contains(event.target));
    return row?.scene ? { row: row.index, take: tile ? Number(tile.dataset.at) : undefined } : null;
  };
  let wasThere = false; // before the press, which moves the focus
  host.addEventListener("pointerdown", (event) => {
    const at = found(event);
    wasThere = at !== null && desk.isAt(at.row, at.take);
  });
  host.addEventListener("click", (event) => {
    const at = found(event);
    if (at === null) return;
    desk.comeTo(at.row, at.take);
    desk.board.focus();
    if (wasThere) desk.viewer.toggle("one");
  });
  host.addEventListener("focusin", (event) => {
    if (desk.viewer.isOpen) return; // a dialog that closes gives the focus back to where it was
    const at = found(event);
    if (at?.take !== undefined) desk.comeTo(at.row, at.take);
  });
  window.addEventListener("beforeprint", () => {
    if (!document.getElementById("storyboard")) Storyboard.build(desk);
  });
  window.addEventListener("afterprint", () => Storyboard.remove());
  window.addEventListener("storage", (event) => {
    if (!event.key?.startsWith(desk.shelf.prefix)) return;
    desk.decisions.reload();
    desk.board.render(true);
    desk.tell();
  });
  desk.live = new Live(desk);
}

begin();
