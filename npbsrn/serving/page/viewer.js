// A picture before and after, one above the other, with an edge between them that moves.

/** Make a viewer; `size` is that of the result in pixels, and the two addresses are those of the pictures. */
export function makeViewer(name, size, before, after) {
  const root = document.getElementById("viewer").content.firstElementChild.cloneNode(true);
  const part = selector => root.querySelector(selector);
  const [frame, scroller, pictures, edge, slider] = [".frame", ".scroller", ".pictures", ".edge", ".slider"].map(part);
  const zooms = [...root.querySelectorAll(".zoom input")];
  let zoom = "fit";

  part(".before").src = before;
  part(".before").alt = `${name} before`;
  part(".after").src = after;
  part(".after").alt = `${name} after`;
  scroller.setAttribute("aria-label", `${name}, before and after`);
  slider.setAttribute("aria-label", `${name}: how much is shown as it was before`);
  for (const input of zooms) input.name = `zoom of ${after}`;
  part(".after").onload = event => {
    if (event.target.naturalWidth >= size.width) return;
    part(".reduced").textContent = "This view is reduced: the picture is too large for browsers. The download has all of it.";
    part(".reduced").hidden = false;
  };

  /** Where the picture's visible part begins and ends in the frame. */
  function visible() {
    const left = pictures.offsetLeft - scroller.scrollLeft;
    return [Math.max(left, 0), Math.min(left + pictures.offsetWidth, scroller.clientWidth), left];
  }

  /** Put the edge where the slider says, within what is visible. */
  function place() {
    const [begin, end, left] = visible();
    const at = begin + (end - begin) * slider.value / 100;
    edge.style.left = `${at}px`;
    part(".before").style.clipPath = `inset(0 ${pictures.offsetWidth - (at - left)}px 0 0)`;
    slider.style.width = `${Math.max(end - begin, 160)}px`;
    part(".of-before").style.left = `${begin + 10}px`;
    part(".of-after").style.right = `${scroller.clientWidth - end + 10}px`;
    part(".of-before").hidden = slider.value < 12;
    part(".of-after").hidden = slider.value > 88;
    slider.setAttribute("aria-valuetext", `${slider.value} % before`);
  }

  /** Give the pictures their size: 100 % is one pixel of the screen for each of the result. */
  function measure() {
    const own = 1 / window.devicePixelRatio;
    const room = Math.min(frame.clientWidth / size.width, innerHeight * .72 / size.height, own);
    const factor = zoom === "fit" ? room : own * zoom;
    pictures.style.width = `${size.width * factor}px`;
    pictures.style.height = `${size.height * factor}px`;
    root.classList.toggle("fitting", zoom === "fit");
    root.classList.toggle("panning", zoom !== "fit");
    scroller.tabIndex = zoom === "fit" ? -1 : 0;
    place();
  }

  function choose(event) {
    const middle = [
      (scroller.scrollLeft + scroller.clientWidth / 2) / pictures.offsetWidth,
      (scroller.scrollTop + scroller.clientHeight / 2) / pictures.offsetHeight,
    ];
    zoom = event.target.value;
    measure();
    scroller.scrollTo(middle[0] * pictures.offsetWidth - scroller.clientWidth / 2,
      middle[1] * pictures.offsetHeight - scroller.clientHeight / 2);
    place();
  }

  function moveTo(event) {
    const [begin, end] = visible();
    const at = event.clientX - frame.getBoundingClientRect().left;
    slider.value = Math.round(100 * (at - begin) / (end - begin));
    place();
  }

  function drag(element, move, wanted = () => true) {
    element.addEventListener("pointerdown", event => {
      if (event.button || !wanted(event)) return;
      element.setPointerCapture(event.pointerId);
      move(event);
      element.onpointermove = move;
    });
    for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, () => { element.onpointermove = null });
  }

  drag(edge, moveTo);
  drag(scroller, moveTo, () => zoom === "fit");
  drag(scroller, event => scroller.scrollBy(-event.movementX, -event.movementY),
    event => zoom !== "fit" && event.pointerType === "mouse" && event.target.closest(".pictures"));
  slider.oninput = place;
  scroller.onscroll = place;
  for (const input of zooms) input.onchange = choose;
  const watch = new ResizeObserver(measure);
  watch.observe(frame);
  return { root, measure, close: () => { watch.disconnect(); root.remove() } };
}
