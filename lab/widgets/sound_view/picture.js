// Pictures: a log-mel comes as one byte a cell, in steps of a fraction of a dB below its maximum.

const GUTTER = { left: 46, right: 44, top: 6, bottom: 22 }; // CSS pixels of a picture with axes
const RANGE = 80; // dB
const TICKS_HZ = [100, 500, 1000, 2000, 4000, 8000];
const TICKS_S = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300];
const minus = (text) => String(text).replace("-", "−");

function address(url) { // a page may be served from a folder of a site
  const script = document.querySelector("script[src*='/static/']");
  return script ? script.src.split("/static/")[0] + url : url;
}

async function fetched(url) {
  const answer = await fetch(address(url));
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer;
}

async function cells({ url }) {
  const { body } = await fetched(url);
  const open = body.pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(open).arrayBuffer());
}

// The level in dB of a frame and a band, both counted from 0.
function decibels(picture, frame, band) {
  const { cells: values, bands, top, step } = picture;
  return top - (255 - values[frame * bands + band]) * step;
}

function colours(root, name) {
  const listed = getComputedStyle(root).getPropertyValue(`--st-${name}`).split(",");
  const pen = document.createElement("canvas").getContext("2d");
  return listed.filter((one) => one.trim()).map((one) => {
    pen.fillStyle = one.trim(); // "#rrggbb", whatever it was
    return [1, 3, 5].map((at) => parseInt(pen.fillStyle.slice(at, at + 2), 16));
  });
}

// A function from 0..1 to a colour, through all of `stops`.
function ramp(stops) {
  return (share) => {
    const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1), low = Math.floor(at);
    const high = Math.min(low + 1, stops.length - 1);
    return stops[low].map((value, i) => value + (stops[high][i] - value) * (at - low));
  };
}

function sequential(root) { return ramp(colours(root, "chart-sequential-colors")); }

function diverging(root) { // less, the page, more
  const [more, less] = colours(root, "chart-categorical-colors");
  return ramp([less, colours(root, "background-color")[0], more]);
}

// An image of frames x bands: `shade` gives the share of the colours for a frame and a band.
function image(frames, bands, colour, shade) {
  const canvas = Object.assign(document.createElement("canvas"), { width: frames, height: bands });
  const pen = canvas.getContext("2d"), pixels = pen.createImageData(frames, bands);
  const table = Array.from({ length: 256 }, (_, i) => colour(i / 255));
  for (let frame = 0; frame < frames; frame++)
    for (let band = 0; band < bands; band++) {
      const share = shade(frame, band), at = 4 * ((bands - 1 - band) * frames + frame);
      if (share === null) continue; // transparent
      const [r, g, b] = table[Math.round(255 * Math.min(Math.max(share, 0), 1))];
      pixels.data[at] = r; pixels.data[at + 1] = g; pixels.data[at + 2] = b; pixels.data[at + 3] = 255;
    }
  pen.putImageData(pixels, 0, 0);
  return canvas;
}

function spectrogram(picture, root) {
  const { frames, bands, loudest } = picture;
  return image(frames, bands, sequential(root), (frame, band) =>
    1 + (decibels(picture, frame, band) - loudest) / RANGE);
}

// -- drawing into a panel's canvas -----------------------------------------------------------------

// The canvas at the screen's resolution: its pen in CSS pixels, and the box of the plot.
function paper(canvas, axes) {
  const { clientWidth: width, clientHeight: height } = canvas, ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio))
    Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
  const pen = canvas.getContext("2d"), gutter = axes ? GUTTER : { left: 0, right: 0, top: 0, bottom: 0 };
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const box = { x: gutter.left, y: gutter.top, width: Math.max(1, width - gutter.left - gutter.right),
    height: Math.max(1, height - gutter.top - gutter.bottom) };
  return { pen, box };
}

// Lay an image of frames over the plot: frame i is around i * hop seconds.
function lay(pen, box, drawn, hop, [first, last]) {
  const left = first / hop + 0.5, right = last / hop + 0.5, scale = box.width / (right - left);
  pen.save();
  pen.beginPath();
  pen.rect(box.x, box.y, box.width, box.height);
  pen.clip();
  pen.imageSmoothingEnabled = scale * (window.devicePixelRatio || 1) < 1; // cells keep their edges
  pen.drawImage(drawn, box.x - left * scale, box.y, drawn.width * scale, box.height);
  pen.restore();
}

function axes(pen, box, root, picture, [first, last]) {
  const style = getComputedStyle(root);
  pen.font = `12px ${style.fontFamily}`;
  pen.fillStyle = style.color;
  pen.strokeStyle = style.getPropertyValue("--st-border-color");
  pen.lineWidth = 1;
  pen.strokeRect(box.x - 0.5, box.y - 0.5, box.width + 1, box.height + 1);
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const hertz of picture ? TICKS_HZ : []) {
    const y = heightOf(picture, hertz, box);
    if (y > box.y - 1) pen.fillText(hertz < 1000 ? `${hertz} Hz` : `${hertz / 1000} kHz`, box.x - 5, y);
  }
  pen.textBaseline = "top";
  const step = TICKS_S.find((one) => ((last - first) / one) * 44 <= box.width) ?? 600;
  for (let i = Math.ceil(first / step - 1e-6); i * step <= last + 1e-6; i++) {
    const x = box.x + (box.width * (i * step - first)) / (last - first);
    pen.textAlign = x > box.x + box.width - 12 ? "right" : i === 0 ? "left" : "center";
    pen.fillText(`${+(i * step).toFixed(2)} s`, x, box.y + box.height + 6);
  }
}

// Where a frequency is, by the bands' own frequencies.
function heightOf({ hertz, bands }, wanted, box) {
  let band = hertz.findIndex((one) => one >= wanted);
  if (band < 0) band = bands - 1;
  const low = hertz[Math.max(0, band - 1)], share = hertz[band] > low ? (hertz[band] - wanted) / (hertz[band] - low) : 0;
  return box.y + box.height * (1 - (band - Math.min(1, share) + 0.5) / bands);
}

function scale(pen, box, colour, labels) {
  const x = box.x + box.width + 8;
  for (let y = 0; y < box.height; y++) {
    pen.fillStyle = `rgb(${colour(1 - y / box.height).map(Math.round).join()})`;
    pen.fillRect(x, box.y + y, 7, 1.5);
  }
  pen.fillStyle = getComputedStyle(pen.canvas).color;
  pen.textAlign = "left";
  labels.forEach((text, i) => {
    pen.textBaseline = i === 0 ? "top" : i === labels.length - 1 ? "bottom" : "middle";
    pen.fillText(text, x + 11, box.y + (box.height * i) / (labels.length - 1));
  });
}

function contour(pen, box, root, picture, [first, last]) {
  const { f0, hop } = picture.pitch;
  pen.save();
  pen.beginPath();
  pen.rect(box.x, box.y, box.width, box.height);
  pen.clip();
  pen.beginPath();
  let down = false;
  f0.forEach((hertz, i) => {
    if (hertz === null) { down = false; return; }
    const x = box.x + (box.width * (i * hop - first)) / (last - first);
    pen[down ? "lineTo" : "moveTo"](x, heightOf(picture, hertz, box));
    down = true;
  });
  pen.lineWidth = 2.5;
  pen.lineJoin = "round";
  pen.strokeStyle = `rgb(${colours(root, "chart-categorical-colors")[0].join()})`;
  pen.stroke();
  pen.restore();
}

// A sound without a log-mel: the extent of its waveform in each pixel.
function waveform(pen, box, root, buffer, [first, last]) {
  const samples = buffer.getChannelData(0), rate = buffer.sampleRate, middle = box.y + box.height / 2;
  const loud = samples.reduce((most, one) => Math.max(most, Math.abs(one)), 1e-3);
  pen.fillStyle = getComputedStyle(root).getPropertyValue("--st-primary-color");
  for (let x = 0; x < box.width; x++) {
    const at = (share) => Math.floor((first + ((last - first) * share) / box.width) * rate);
    let low = 0, high = 0;
    for (let i = at(x), until = Math.min(at(x + 1), samples.length); i < until; i++) {
      low = Math.min(low, samples[i]);
      high = Math.max(high, samples[i]);
    }
    const half = (box.height / 2 - 1) / loud;
    pen.fillRect(box.x + x, middle - high * half - 0.5, 1, (high - low) * half + 1);
  }
}
