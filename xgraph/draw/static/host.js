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

var index, open, viz;

async function begin(scene, expand) {
  index = draw.indexed(scene);
  open = expand ? draw.all(index) : draw.opened(index);
  viz = await Viz.instance();
}

function finish(style) {
  const shown = draw.shown(index, open);
  if (shown.length > draw.MOST) return JSON.stringify({ many: shown.length });
  const svg = draw.drawn(viz, index, open, style);
  const seen = new Set(shown);
  const layers = [...index.boxes.values()].filter((box) => !box.boxes);
  return JSON.stringify({ svg, hidden: layers.filter((box) => !seen.has(box.id)).length });
}
