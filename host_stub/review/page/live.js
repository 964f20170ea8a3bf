"use strict";
/*
 * The story while it is being made: pulse.js says in a line whether data.js is another than it was.
 *
 * Both are scripts, since a page of a file may read nothing else; each is asked for by a new tag.
 */

const SOON_MS = 2000;
const LATER_MS = 15000;

class Live {
  constructor(desk) {
    this.desk = desk;
    this.count = 0;
    document.addEventListener("visibilitychange", () => this.look());
    this.#later();
  }

  #later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), this.desk.story.isRunning ? SOON_MS : LATER_MS);
  }

  /** See whether there is something new, and take it over. */
  async look() {
    clearTimeout(this.timer);
    if (document.visibilityState === "visible") {
      const pulse = await this.#read("pulse.js", "stage3Pulse");
      if (pulse && pulse.revision !== this.desk.story.revision) {
        const told = await this.#read("data.js", "stage3Review");
        if (told) this.desk.adopt(told);
      }
    }
    this.#later();
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
