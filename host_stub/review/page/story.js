"use strict";
/*
 * The story as data.js tells it: scenes, their takes, and what a picture of each costs.
 *
 * Everything in it was written by others. It is put into the page as text and as addresses of
 * pictures, never as markup. Money is a whole number of micro-USD; unknown is null, never 0.
 */

const FORMAT = "stage3-review/1";
const MOST_TAKES = 20;

const Money = {
  /** Read a decimal string such as "0.042"; anything else is unknown. */
  micros(text) {
    const found = /^(\d+)(?:\.(\d{1,6}))?/.exec(text ?? "");
    return found ? Number(found[1]) * 1e6 + Number((found[2] ?? "").padEnd(6, "0")) : null;
  },

  /** Write micro-USD as `dollars` in host_stub/text/format.py does: four decimals, rounded up. */
  words(micros) {
    if (micros === null) return "a price not known";
    const said = micros < 10000 ? micros : Math.ceil(micros / 100) * 100;
    return "$" + (said / 1e6).toFixed(6).replace(/(\.\d\d\d*?)0+$/, "$1");
  },
};

const STATES = {
  current: "current",
  stale: "stale",
  missing: "no picture yet",
  held: "held: it may have been paid for",
  pending: "bought, and not here yet",
};

const REASONS = {
  prompt: "other words since",
  reference: "another reference since",
  sheet: "another picture of its sheet since",
  size: "another size since",
  quality: "another quality since",
  model: "another model since",
  settings: "other settings since",
};

/** One scene or sheet, with every field there, whatever the file left out. */
class Scene {
  #told;
  #takes;

  constructor(told, position, usual) {
    this.#told = told.takes ?? [];
    this.usual = usual;
    this.id = String(told.scene);
    this.position = position;
    this.isSheet = told.role === "sheet";
    this.name = told.name ?? "";
    this.number = told.number ?? position + 1;
    this.state = told.state in STATES ? told.state : "missing";
    this.reasons = told.reasons ?? [];
    this.wrongAspect = told.wrong_aspect === true;
    this.prompt = told.prompt ?? "";
    this.notes = told.notes ?? [];
    this.problem = told.problem ?? "";
    this.shown = told.shown ?? null;
    this.isPicked = told.picked === true;
    this.made = told.made ?? 0;
    this.own = told.own_takes ?? 1;
    this.toMake = told.to_make ?? 0;
    this.price = Money.micros(told.cost_usd);
    this.spent = Money.micros(told.spent_usd) ?? 0;
  }

  /** Its takes, with what data.js says once for all of them; made when somebody looks. */
  get takes() {
    this.#takes ??= this.#told.map((take) => ({
      ...this.usual,
      path: `../takes/${this.id}/${take.sha256.slice(0, 12)}.png`,
      ...take,
    }));
    return this.#takes;
  }

  /** Where a person begins to look: at the pick, else at what is shown, else at the newest. */
  get first() {
    const at = this.takes.findIndex((take) => take.take === this.shown);
    return at >= 0 ? at : Math.max(0, this.takes.length - 1);
  }

  /** What this reviewer noted about it before. */
  noteOf(reviewer) {
    return this.notes.find((one) => one.reviewer === reviewer)?.note ?? "";
  }

  /** What others noted about it, with their names. */
  othersNotes(reviewer) {
    const others = this.notes.filter((one) => one.reviewer !== reviewer && one.note);
    return others.map((one) => (one.reviewer ? `${one.reviewer}: ${one.note}` : one.note));
  }

  /** The take with these bytes; of several the one that a run would take it for. */
  take(sha256) {
    const same = this.takes.filter((take) => take.sha256 === sha256);
    return same.find((take) => take.state === "current") ?? same.at(-1);
  }

  /** What was seen of it, for a decision. */
  get seen() {
    return [...new Set(this.takes.map((take) => take.sha256))];
  }

  get text() {
    this.folded ??= `${this.id}\n${this.name}\n${this.prompt}`.toLowerCase();
    return this.folded;
  }

  get label() {
    return this.isSheet ? `sheet ${this.name || this.id}` : this.id;
  }

  /** What is to be said of its state, in a line. */
  get standing() {
    const why = this.reasons.map((reason) => REASONS[reason] ?? reason).join(", ");
    const parts = [why ? `${STATES[this.state]}: ${why}` : STATES[this.state]];
    if (this.wrongAspect) parts.push("another shape than asked for");
    if (this.problem) parts.push(this.problem);
    return parts.join(" · ");
  }
}

const Take = {
  /** The first words of a prompt, for those who cannot see the picture. */
  words(scene) {
    const words = scene.prompt.split(/\s+/, 13).filter(Boolean);
    return words.length > 12 ? words.slice(0, 12).join(" ") + "…" : words.join(" ");
  },

  alt(scene, take) {
    const draft = take.draft ? "draft " : "";
    return `${scene.label}, ${draft}take ${take.take}: ${Take.words(scene) || "no words"}`;
  },

  thumb(take) {
    return `thumbs/${take.sha256}.webp`;
  },

  /** Its own file. Only a path below the results is one: data.js could have been edited. */
  picture(take) {
    const path = String(take.path ?? "");
    return /^\.\.\/[^:\\]+$/.test(path) && !path.slice(3).includes("../") ? path : Take.thumb(take);
  },

  marks(take) {
    const marks = [];
    if (take.draft) marks.push("draft");
    if (take.imported) marks.push("own");
    if (take.state === "stale" && !take.draft) marks.push("stale");
    return marks;
  },
};

/** All scenes, in the order of the file, sheets first. */
class Story {
  constructor(told) {
    if (told === null || typeof told !== "object" || told.format !== FORMAT) {
      throw new Error("data.js is not of this page's version: run 'host-stub review' again");
    }
    this.id = String(told.story?.id ?? "story");
    this.name = String(told.story?.name ?? "");
    this.revision = told.revision ?? "";
    this.isRunning = told.running === true;
    this.command = String(told.command ?? "");
    this.spent = Money.micros(told.spent_usd);
    this.scenes = told.scenes.map((scene, at) => new Scene(scene, at, told.usual));
    this.count = Math.max(told.of ?? 0, this.scenes.length);
    this.isWhole = this.count === this.scenes.length;
    this.byId = new Map(this.scenes.map((scene) => [scene.id, scene]));
    this.dear = this.#dear();
    this.aspect = Story.#aspect(told.usual ?? {});
  }

  /** The shape of most pictures, as width over height; what is wider or taller is fitted in. */
  static #aspect({ width, height }) {
    const aspect = width > 0 && height > 0 ? width / height : 16 / 9;
    return Math.min(2.4, Math.max(0.5, aspect));
  }

  /** A scene is dear from twice of what scenes usually cost. */
  #dear() {
    const spent = this.scenes.map((scene) => scene.spent).filter(Boolean).sort((a, b) => a - b);
    return spent.length ? 2 * spent[spent.length >> 1] : 0;
  }
}
