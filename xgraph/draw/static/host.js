// What a browser has and a bare engine has not, as far as Graphviz asks for it; and the picture.
"use strict";

class TextDecoder {
  decode(bytes) {
    let text = "";
    for (const byte of bytes || []) text += String.fromCharCode(byte);
    return decodeURIComponent(escape(text));
  }
}

class TextEncoder {
  encode(text) {
    return Uint8Array.from(unescape(encodeURIComponent(text)), (c) => c.charCodeAt(0));
  }
}

class URL {
  constructor(path) { this.href = String(path); }
  toString() { return this.href; }
}

var window = globalThis, self = globalThis;
var location = { href: "" }, document = { currentScript: null };

var atob = (text) => {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const at = new Map([...letters].map((letter, i) => [letter, i]));
  const found = [];
  let held = 0, bits = 0;
  for (const letter of text) {
    if (!at.has(letter)) continue;
    held = (held << 6) | at.get(letter);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    found.push(String.fromCharCode((held >> bits) & 255));
    held &= (1 << bits) - 1;
  }
  return found.join("");
};

var indices, open, viz;

async function begin(sheet, expand) {
  indices = sheet.scenes.map(draw.indexed);
  open = new Set(indices.flatMap((index) => [...(expand ? draw.all : draw.opened)(index)]));
  viz = await Viz.instance();
}

function finish(style, name) {
  const shown = indices.map((index) => new Set(draw.shown(index, open)));
  const many = shown.reduce((sum, each) => sum + each.size, 0);
  if (many > draw.MOST) return JSON.stringify({ many });
  const svg = draw.drawn(viz, indices, open, { style, name });
  const hidden = indices.map((index, i) => [...index.boxes.values()]
    .filter((box) => !box.boxes && !shown[i].has(box.id)).length);
  return JSON.stringify({ svg, hidden: hidden.reduce((sum, each) => sum + each, 0) });
}
