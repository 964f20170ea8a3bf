"use strict";
/*
 * The page on paper: a picture for each scene, its number and its words, made only for printing.
 */

const MOST_PRINTED = 2000;

const Storyboard = {
  /** Put it into the page; returns when its pictures are there. */
  async build(desk) {
    Storyboard.remove();
    const scenes = desk.rows.slice(0, MOST_PRINTED);
    const panels = scenes.map((scene) => Storyboard.panel(desk, scene));
    const left = desk.rows.length - scenes.length;
    const board = make(
      "section",
      { id: "storyboard", "aria-label": "Storyboard" },
      make("h1", { text: desk.story.name || "Storyboard" }),
      ...panels,
    );
    if (left > 0) board.append(make("p", { text: `and ${left} scenes more: print them by filter or search` }));
    document.body.append(board);
    const images = [...board.querySelectorAll("img")];
    await Promise.all(images.map((image) => image.decode().catch(() => {})));
  },

  panel(desk, scene) {
    const take = desk.shownTake(scene);
    const note = desk.decisions.notes(scene);
    const picture = take
      ? make("img", { src: desk.thumb(take) ?? Take.picture(take), alt: Take.alt(scene, take) })
      : make("div", { class: "empty", text: "no picture yet" });
    const words = make("figcaption", {}, make("b", { text: `${scene.number} · ${scene.label}` }));
    words.append(make("p", { text: desk.decisions.prompt(scene) }));
    if (note) words.append(make("p", { class: "note", text: note }));
    return make("figure", {}, picture, words);
  },

  remove() {
    document.getElementById("storyboard")?.remove();
  },

  async print(desk) {
    await Storyboard.build(desk);
    window.print();
  },
};
