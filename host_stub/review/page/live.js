"use strict";
/*
 * The story as it comes: first the scenes that can be seen, in data.js, then the others, in rest.js.
 * pulse.js says in a line whether the two are others than they were, as they are while a run goes on.
 *
 * All are scripts, since a page of a file may read nothing else; each is asked for by a new tag.
 */

const SOON_MS = 2000;
const LATER_MS = 15000;

class Live {
  constructor(desk) {
    this.desk = desk;
    this.count = 0;
    document.addEventListener("visibilitychange", () => this.look());
    if (this.desk.story.isWhole) this.#later();
    // The others come when all that can be seen is there.
    else window.addEventListener("load", () => this.look(), { once: true });
  }

  #later() {
    clearTimeout(this.timer);
    const { isRunning, isWhole } = this.desk.story;
    this.timer = setTimeout(() => this.look(), isRunning || !isWhole ? SOON_MS : LATER_MS);
  }

  /** See whether there is something new, and take it over. */
  async look() {
    clearTimeout(this.timer);
    if (document.visibilityState === "visible") {
      const pulse = await this.#read("pulse.js", "stage3Pulse");
      const { revision, isWhole } = this.desk.story;
      if (pulse && (pulse.revision !== revision || !isWhole)) await this.#readAll();
    }
    this.#later();
  }

  /** Read the story, its first scenes and the others; what is just being written, later. */
  async #readAll() {
    const told = await this.#read("data.js", "stage3Review");
    if (!told) return;
    if (told.of > told.scenes.length) {
      const rest = await this.#read("rest.js", "stage3Rest");
      if (rest?.revision !== told.revision) return;
      told.scenes = told.scenes.concat(rest.scenes);
    }
    try {
      this.desk.adopt(told);
    } catch (error) {
      this.desk.say(error.message);
    }
  }

  /** Run a script of ours, and return what it left behind under its name; null if it is not there. */
  #read(file, name) {
    this.count += 1;
    const script = make("script", { src: `${file}?${this.count}` });
    return new Promise((resolve) => {
      const done = () => {
        script.remove();
        const told = window[name] ?? null;
        delete window[name];
        resolve(told);
      };
      script.addEventListener("load", done);
      script.addEventListener("error", done);
      document.head.append(script);
    });
  }
}
