"use strict";
/*
 * What a person decided: a wanted state for each scene, kept in this browser and saved as a file.
 *
 * A decision says "this scene shows that take, and has three", never "do it once more": so a file
 * that is read twice does the same as one that is read once. It is bound to what was seen.
 */

const DECISIONS = "stage3-decisions/1";
const MOST_PROMPT = 100000;
const MOST_NOTE = 10000;
const FIELDS = ["scene", "seen", "show", "reject", "takes", "prompt", "note", "at"];

/** The decisions of one reviewer of one story. */
class Decisions {
  #done = [];
  #undone = [];

  constructor(story, shelf) {
    this.shelf = shelf;
    this.reviewer = Shelf.word("reviewer");
    this.adopt(story);
    this.reload();
  }

  /** Read them from the shelf: another window of this story may have changed some. */
  reload() {
    this.byScene = new Map();
    for (const kept of this.shelf.all()) {
      const one = Decisions.#read(kept);
      if (one) this.byScene.set(one.scene, one);
    }
    this.addAll();
  }

  /** Take a newer state of the story over; what was decided stays. */
  adopt(story) {
    this.story = story;
    if (this.byScene) this.addAll();
  }

  /** Whether the scene has changed since: the next run would refuse the decision. */
  isOutdated(scene) {
    const one = this.of(scene);
    if (!one?.seen?.length) return false;
    const named = [...one.seen, ...(one.reject ?? []), ...(one.show ? [one.show] : [])];
    return scene.state === "stale" || named.some((sha256) => !scene.take(sha256));
  }

  /** Whether the story is as the decision wants it, so that there is nothing left to say. */
  isDone(scene) {
    const one = this.of(scene);
    const rejected = scene.takes.filter((take) => take.rejected).map((take) => take.sha256);
    const wants = one.reject ?? rejected;
    return (
      (!one.show || (scene.isPicked && scene.take(one.show)?.take === scene.shown))
      && (one.takes ?? 0) <= scene.made
      && (!one.prompt || one.prompt === scene.prompt)
      && (one.note === undefined || one.note === scene.noteOf(this.reviewer))
      && wants.length === rejected.length && rejected.every((sha256) => wants.includes(sha256))
    );
  }

  addAll() {
    this.sum = { decided: 0, pictures: 0, micros: 0, unknown: 0, next: 0, nextUnknown: 0 };
    for (const scene of this.story.scenes) this.#count(scene, 1);
  }

  of(scene) {
    return this.byScene.get(scene.id);
  }

  /** The hash of the take that the scene would show, or undefined. */
  picked(scene) {
    return this.of(scene)?.show;
  }

  isRejected(scene, take) {
    const reject = this.of(scene)?.reject;
    return reject ? reject.includes(take.sha256) : take.rejected === true;
  }

  /** This reviewer's own note, decided or kept. */
  note(scene) {
    return this.of(scene)?.note ?? scene.noteOf(this.reviewer);
  }

  /** All notes, one's own first, the others' with their names. */
  notes(scene) {
    const own = this.note(scene);
    const others = scene.notes.length ? scene.othersNotes(this.reviewer) : [];
    return own || others.length ? [own, ...others].filter(Boolean).join("\n") : "";
  }

  prompt(scene) {
    return this.of(scene)?.prompt ?? scene.prompt;
  }

  /** Whether a person has said what becomes of it; a note alone does not say that. */
  isDecided(scene) {
    const one = this.of(scene);
    if (!one) return scene.isPicked && scene.state === "current" && scene.toMake === 0;
    return !this.hasNew(scene) && !this.isOutdated(scene) && Boolean(one.show || one.takes || one.prompt || one.reject);
  }

  /** Whether takes have come since the decision: then it is time to look again. */
  hasNew(scene) {
    const one = this.of(scene);
    if (!one?.seen?.length) return false;
    return scene.seen.some((sha256) => !one.seen.includes(sha256));
  }

  /** How many pictures the decision adds to what the next run makes anyway. */
  more(scene) {
    const one = this.of(scene);
    if (!one) return 0;
    const anew = one.prompt && one.prompt !== scene.prompt;
    const wanted = Math.max(one.takes ?? 0, anew ? scene.own : 0);
    return Math.max(0, wanted - (anew ? 0 : scene.made) - scene.toMake);
  }

  /** Change the decision of a scene; ``change`` is given a copy and fills it. */
  decide(scene, change) {
    const before = this.of(scene);
    const after = before ? { ...before } : { scene: scene.id };
    change(after);
    after.scene = scene.id;
    if (scene.state !== "stale") after.seen = scene.seen;
    after.at = new Date().toISOString().replace(/\.\d+Z$/, "Z");
    this.#done.push({ scene: scene.id, before, after: this.#put(scene.id, after) });
    this.#undone = [];
  }

  /** Take the last change back; returns its scene's id, or null. */
  undo() {
    return this.#step(this.#done, this.#undone, "before");
  }

  redo() {
    return this.#step(this.#undone, this.#done, "after");
  }

  #step(from, to, side) {
    const change = from.pop();
    if (!change) return null;
    to.push(change);
    this.#put(change.scene, change[side]);
    return change.scene;
  }

  #put(id, decision) {
    const scene = this.story.byId.get(id);
    if (scene) this.#count(scene, -1);
    const kept = decision && Decisions.#says(decision) ? Decisions.#tidy(decision) : undefined;
    if (kept) this.byScene.set(id, kept);
    else this.byScene.delete(id);
    if (scene) this.#count(scene, 1);
    this.shelf.put(id, kept);
    return kept;
  }

  static #says(one) {
    return FIELDS.slice(2, 7).some((field) => one[field] !== undefined && one[field] !== null);
  }

  static #tidy(one) {
    const has = FIELDS.filter((field) => one[field] !== undefined && one[field] !== null);
    return Object.fromEntries(has.map((field) => [field, one[field]]));
  }

  #count(scene, sign) {
    const sum = this.sum;
    const more = this.more(scene);
    if (this.isDecided(scene)) sum.decided += sign;
    sum.pictures += sign * more;
    sum.next += sign * (scene.toMake + more) * (scene.price ?? 0);
    if (scene.price === null) {
      sum.unknown += sign * more;
      sum.nextUnknown += sign * (scene.toMake + more);
    } else {
      sum.micros += sign * more * scene.price;
    }
  }

  /** The file, as ``host-stub plan --decisions`` reads it. */
  file() {
    const scenes = this.story.scenes.filter((scene) => this.of(scene) && !this.isDone(scene));
    const decisions = scenes.map((scene) => {
      const one = this.of(scene);
      const hashes = (list) => list?.map((sha256) => `sha256:${sha256}`);
      return Decisions.#tidy({
        ...one,
        seen: hashes(one.seen),
        show: one.show && `sha256:${one.show}`,
        reject: hashes(one.reject),
      });
    });
    const head = { format: DECISIONS, ...(this.reviewer ? { reviewer: this.reviewer } : {}) };
    return JSON.stringify({ ...head, decisions }, null, 1) + "\n";
  }

  /** Take a file over; the later decision of a scene wins. Returns what to say about it. */
  open(text) {
    const read = JSON.parse(text);
    if (read?.format !== DECISIONS || !Array.isArray(read.decisions)) {
      throw new Error(`it is not a file of ${DECISIONS}`);
    }
    let taken = 0;
    let strange = 0;
    for (const one of read.decisions) {
      const scene = this.story.byId.get(one?.scene);
      const decision = scene && Decisions.#read(one);
      if (!decision) {
        strange += 1;
        continue;
      }
      const before = this.of(scene);
      if (before && before.at > (decision.at ?? "")) continue;
      this.#done.push({ scene: scene.id, before, after: this.#put(scene.id, decision) });
      taken += 1;
    }
    this.#undone = [];
    const left = strange ? `; ${strange} left out: not of this story, or not understood` : "";
    return `${taken} taken over${left}`;
  }

  /** Return words as a file can have them: no half of a pair of surrogates. */
  static words(text) {
    return typeof text === "string" ? text.toWellFormed?.() ?? text : undefined;
  }

  /** Read one that somebody else may have written, or return undefined. */
  static #read(one) {
    if (typeof one?.scene !== "string") return undefined;
    const hash = (text) => /^(?:sha256:)?([0-9a-f]{64})$/.exec(text)?.[1];
    const hashes = (list) => (Array.isArray(list) ? list.map(hash).filter(Boolean) : undefined);
    const takes = Number.isInteger(one.takes) && one.takes >= 1 && one.takes <= MOST_TAKES;
    const show = hash(one.show);
    const read = {
      scene: one.scene,
      seen: hashes(one.seen),
      show,
      reject: hashes(one.reject)?.filter((sha256) => sha256 !== show),
      takes: takes ? one.takes : undefined,
      prompt: Decisions.words(one.prompt)?.trim().slice(0, MOST_PROMPT) || undefined,
      note: Decisions.words(one.note)?.slice(0, MOST_NOTE),
      at: Decisions.words(one.at),
    };
    return Decisions.#says(read) ? Decisions.#tidy(read) : undefined;
  }
}

/** Where this browser keeps them: an entry for each scene, so that a key writes one. */
class Shelf {
  constructor(storyId) {
    this.prefix = `stage3-review/${storyId}/`;
    this.failure = null;
  }

  all() {
    const found = [];
    this.#try((storage) => {
      for (let at = 0; at < storage.length; at += 1) {
        const key = storage.key(at);
        if (key.startsWith(this.prefix)) found.push(Shelf.#parsed(storage.getItem(key)));
      }
    });
    return found;
  }

  /** All pages that are files share one storage: what lies there may be anything. */
  static #parsed(text) {
    try {
      return JSON.parse(text);
    } catch {
      return null;
    }
  }

  put(id, decision) {
    this.#try((storage) => {
      if (decision) storage.setItem(this.prefix + id, JSON.stringify(decision));
      else storage.removeItem(this.prefix + id);
    });
  }

  #try(act) {
    try {
      act(window.localStorage);
    } catch (error) {
      this.failure = error;
    }
  }

  /** A word that holds for all stories, such as the reviewer's name. */
  static word(name, value) {
    try {
      if (value === undefined) return window.localStorage.getItem(`stage3-review:${name}`) ?? "";
      window.localStorage.setItem(`stage3-review:${name}`, value);
    } catch {
      /* a browser that keeps nothing asks again */
    }
    return value ?? "";
  }
}
