"use strict";
/*
 * What each key does, wherever one is, unless one is writing; Dialogs.help tells them.
 */

const Keys = {
  /** The letter on a key, also where the keyboard writes another script. */
  of(event) {
    if (event.key.length > 1) return event.key;
    if (/^[\x20-\x7e]$/.test(event.key)) return event.key.toLowerCase();
    return /^Key[A-Z]$/.test(event.code) ? event.code[3].toLowerCase() : event.key;
  },

  listen(desk) {
    document.addEventListener("keydown", (event) => {
      if (Keys.isPrint(event)) {
        event.preventDefault();
        Storyboard.print(desk);
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      if (Keys.isWriting(event.target)) Keys.inSearch(event, desk);
      else if (Keys.take(Keys.of(event), event, desk)) event.preventDefault();
    });
  },

  isPrint(event) {
    return (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "p";
  },

  isWriting(target) {
    return target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;
  },

  inSearch(event, desk) {
    if (event.target !== desk.parts.search) return;
    if (event.key === "Enter" || event.key === "ArrowDown") desk.board.focus();
    else if (event.key === "Escape") {
      desk.parts.search.value = "";
      desk.list();
      desk.board.focus();
    } else return;
    event.preventDefault();
  },

  /** Do what a key stands for; returns whether it stands for something here. */
  take(key, event, desk) {
    const top = Dialogs.top();
    if (top && top.id !== "viewer") return false;
    const isOnButton = event.target instanceof HTMLButtonElement;
    if (isOnButton && (key === "Enter" || key === " ")) return false;
    const act = Keys.table(desk, event)[key];
    if (!act) return false;
    act();
    return true;
  },

  table(desk, event) {
    const { row, take } = desk.at;
    const page = Math.max(1, Math.floor(desk.board.visible / desk.board.height));
    const isPair = desk.viewer.isOpen && desk.viewer.mode !== "one";
    const move = (to) => (isPair && event.shiftKey ? desk.viewer.moveOther(to) : desk.goTake(to));
    const from = isPair && event.shiftKey ? desk.viewer.other : take;
    const digits = {};
    for (let digit = 1; digit <= 9; digit += 1) {
      digits[digit] = () => {
        const at = desk.takes(desk.scene).findIndex((one) => one.take === digit);
        if (at >= 0) desk.goTake(at);
      };
    }
    return {
      ...digits,
      j: () => desk.go(row + 1),
      ArrowDown: () => desk.go(row + 1),
      k: () => desk.go(row - 1),
      ArrowUp: () => desk.go(row - 1),
      ArrowLeft: () => move(from - 1),
      ArrowRight: () => move(from + 1),
      Home: () => desk.go(0),
      End: () => desk.go(desk.rows.length - 1),
      PageDown: () => desk.go(row + page),
      PageUp: () => desk.go(row - page),
      p: () => desk.act("pick"),
      x: () => desk.act("reject"),
      r: () => desk.act("again", event),
      n: () => desk.act("note"),
      e: () => desk.act("prompt"),
      u: () => desk.act("undo", event),
      c: () => desk.act("compare"),
      Enter: () => desk.act("large"),
      " ": () => (isPair ? desk.viewer.flip() : desk.act("large")),
      d: () => desk.toggleDrafts(),
      f: () => desk.viewer.isOpen || desk.chooseNext(event.shiftKey ? -1 : 1),
      "/": () => {
        desk.viewer.close();
        desk.parts.search.focus();
        desk.parts.search.select();
      },
      s: () => Dialogs.save(desk),
      o: () => Dialogs.fromFile(desk),
      t: () => desk.toggleTheme(),
      "?": () => Dialogs.help(),
      Escape: () => {
        if (desk.viewer.isOpen) desk.viewer.close();
        else if (desk.parts.search.value) {
          desk.parts.search.value = "";
          desk.list();
          desk.board.focus();
        }
      },
    };
  },
};
