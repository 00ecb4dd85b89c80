"""The systems of the language's design, as a person would write them."""

from __future__ import annotations

SYSTEMS = {
    "hand_made": """\
network xkerasnet

modality image: [3, 32, 32]                 # Y, Cb, Cr planes

let planes = image -> bn

block pair(filters) {
  conv(filters, 3) -> relu
  conv(filters, 3) -> relu
  maxpool(2)
  dropout(0.25)
}

superlayer y(planes -> slice(0, 1)) { b1: pair(32); b2: pair(64) }
superlayer u(planes -> slice(1, 2)) { b1: pair(16); b2: pair(32) }
superlayer v(planes -> slice(2, 3)) { b1: pair(16); b2: pair(32) }

connect u.b1 -> y.b1 via conv(16, 1) -> relu
connect v.b1 -> y.b1 via conv(16, 1) -> relu
connect y.b1 -> u.b1, v.b1 via conv(32, 1) -> relu    # one for two destinations

fusion head(y, u, v) {
  concat -> flatten -> linear(512) -> relu -> dropout(0.5) -> linear(10)
}

output logits = head
""",
    "routed": """\
xgraph 1

network basecnn_2_cc

param paths = 2
modality image: [3, 32, 32]

block unit(filters) { conv(filters, 3) -> bn -> relu }

superlayer path[paths](image) {             # copies with separate weights: path[0], path[1]
  c2: unit(32) -> unit(32) -> maxpool(2)
  c4: unit(64) -> unit(64) -> maxpool(2)
  d1: flatten -> linear(32) -> bn -> relu
  linear(32) -> bn -> relu -> linear(10)
}

route cc image -> path[*].in with hidden = 16       # one to many
route cc path[*].c2 with hidden = 16
route cp path[*].c2 -> path[*].c4 via conv(64, 3)

output logits = mean(path[*])
""",
    "ranks": """\
network xflow

modality video: [11, 80, 60]                # frames as channels
modality mfcc:  [286] with informativeness = 0.31

block to_1d(units)        { conv(same, 1) -> prelu(per=element) -> bn -> flatten -> linear(units) }
block to_2d(h, w, c, k)   { linear(h * w) -> bn -> reshape(1, h, w) -> deconv(c, k, pad=valid) }

superlayer cnn(video) {
  raw: bn
  conv(16, 3) -> relu -> conv(16, 3) -> relu -> bn -> maxpool(2)
  p1: dropout(0.25)
  bn -> dropout(0.5)
}
superlayer mlp(mfcc) { f1: linear(128) -> relu -> bn -> dropout(0.5); linear(64) }

connect cnn.raw -> mlp.f1 by add    via maxpool(4) -> flatten -> linear(128) -> prelu  # residual
connect cnn.p1  -> mlp.f1 by concat via to_1d(64)                                      # cross
connect mlp.f1  -> cnn.p1 by concat via to_2d(33, 23, 16, 8)

dim T = 39
each T {
  superlayer frames(video) { conv(8, 3) -> relu }
}
fusion head(cnn, mlp) { concat -> bn(axis=T) -> dropout(0.5) -> lstm(64) -> last(T) -> linear(26) }
""",
    "fusion_found": """\
fusion head(audio, image) {
  h1: fuse(audio.f5, image.f3)     -> linear(64) -> relu      # global pooling of maps, then concat
  h2: fuse(audio.f4, image.f2, h1) -> linear(64) -> sigmoid
  linear(10)
}
""",
    "cell_found": """\
superlayer image_net(image) {
  stem: conv(64, 3)
  repeat 3 as i {
    let width = if i > 0 then 128 else 64
    n1: sepconv(width, 3) -> bn -> relu
    n2: conv(width, 5)
    n3: add(n2, n1) -> sepconv(width, 5) -> bn -> tanh
  }
  if paths == 2 { gap } else if paths == 3 { flatten } else { identity }
}
""",
}
