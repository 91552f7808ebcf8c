"""The Keras models of the nets, what TensorFlow compiles around them, and their files.

Importing this module does not import TensorFlow: that takes seconds, and only training and answering need it.
"""

# ruff: noqa: PLC0415 -- see above

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ml.errors import RegistryError, StoreError
from ml.estimators.files import read_bytes
from ml.estimators.windows import Floats, Windows
from ml.settings import quiet_tensorflow

VALUE_WEIGHT = 0.5
"""Half the squared error of a standardised value is, like the log-loss, in nats: both heads count alike."""
FIRST_DECAY, SECOND_DECAY, TINY = 0.9, 0.999, 1e-7
LONGEST_GRADIENT = 1.0
ATTENTION_HEADS = 2
KEPT_NETS = 4


@dataclass(frozen=True)
class Architecture:
    """What a model is built from. body: one of BODIES. dropout: the share of channels silenced in training."""

    body: str
    features: int
    window: int
    width: int
    depth: int
    dropout: float


class Targets(NamedTuple):
    """What a batch of windows should be answered with: the event, near 0 or 1, standardised value, weight; each
    (batch,)."""

    up: Floats
    value: Floats
    weight: Floats


class State(NamedTuple):
    """Where a training stands: weights (p,), Adam's two moments (p,), the steps done, the dropout's generators."""

    weights: Any
    first: Any
    second: Any
    steps: Any
    noise: Any


def start(threads: int) -> None:
    """Import TensorFlow, quiet and reproducible, on so many threads.

    The first call of a process decides: TensorFlow cannot change its threads once it has computed something.
    """
    tf = _imported()
    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)


@cache
def _imported() -> Any:
    quiet_tensorflow()
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    tf.config.experimental.enable_op_determinism()
    return tf


class Net:
    """A Keras model with the functions that TensorFlow compiles for it, each once per shape of its arguments.

    Weights are arguments, as one flat vector (p,), and never the model's own state: one net serves many fits.
    """

    def __init__(self, model: Any) -> None:
        tf = _imported()
        self._model = model
        self.weights: Floats = np.concatenate([np.ravel(v.value.numpy()) for v in model.trainable_variables])
        """(p,) what the model was built or read with."""
        self._noise = [v.value.numpy() for v in model.non_trainable_variables]
        self._sizes = [int(np.prod(v.shape)) for v in model.trainable_variables]
        kernels = [len(v.shape) > 1 for v in model.trainable_variables]
        self._decayed = np.repeat(np.array(kernels, dtype=np.float32), self._sizes)
        self.step: Callable[[State, Windows, Targets, np.float32, np.float32], State] = tf.function(self._step)
        self._answers = tf.function(self._call)
        self._slopes = tf.function(self._slope)

    @property
    def input_shape(self) -> tuple[int, int]:
        """The window and the number of features that the model takes."""
        window, features = self._model.input_shape[0][1:]
        return int(window), int(features)

    def begin(self, log_odds: float, value: float) -> State:
        """A training at its start, where every window is answered with the same log-odds and value."""
        weights = self.weights.copy()
        # The heads are the last layer, their kernel begins with zeros, and their bias is the last variable.
        weights[-2:] = log_odds, value
        zeros = np.zeros_like(weights)
        return State(weights, zeros, zeros, np.float32(0), self._noise)

    def answers(self, weights: Floats, windows: Windows) -> Floats:
        """(batch, 2) log-odds of the event and standardised value of each window."""
        said: Floats = self._answers(weights, self._noise, *windows)[0].numpy()
        return said

    def contributions(self, weights: Floats, windows: Windows, points: int) -> Floats:
        """(batch, f) integrated gradients of the log-odds (Sundararajan et al. 2017), summed over the window.

        From all features at their medians to what they are, by Gauss-Legendre quadrature with so many points.
        """
        places, parts = np.polynomial.legendre.leggauss(points)
        slopes = [self._slopes(weights, *windows, np.float32((place + 1) / 2)).numpy() for place in places]
        return np.asarray(np.tensordot(parts / 2, slopes, axes=1), dtype=np.float32)

    def write(self, path: Path, weights: Floats) -> str:
        """Save the model with these weights as .keras; the file's sha256. StoreError when that fails."""
        parts = np.split(weights, np.cumsum(self._sizes)[:-1])
        for variable, part in zip(self._model.trainable_variables, parts, strict=True):
            variable.assign(part.reshape(variable.shape))
        try:
            self._model.save(path)
        except OSError as error:
            raise StoreError(
                f"{path.name} that cannot be written ({error})", "a writable directory", "Free space"
            ) from error
        return hashlib.sha256(read_bytes(path)).hexdigest()

    @classmethod
    def read(cls, path: Path, sha256: str) -> Net:
        """What `write` saved. StoreError: a missing file. RegistryError: other bytes, or no model in them."""
        found = hashlib.sha256(read_bytes(path)).hexdigest()
        if found != sha256:
            raise RegistryError(
                f"{path.name} with sha256 {found[:12]}", f"{sha256[:12]}, as saved", "Fetch the model again"
            )
        _imported()
        import keras

        try:
            return cls(keras.saving.load_model(path, compile=False, safe_mode=True))
        except Exception as error:  # Keras lets through whatever zip, JSON, HDF5 and its own layers raise.
            raise RegistryError(
                f"{path.name} that Keras {keras.__version__} cannot read ({type(error).__name__}: {error})",
                "a model written by this or an older Keras",
                "Retrain the model",
            ) from error

    def _parts(self, weights: Any) -> list[Any]:
        tf = _imported()
        parts = tf.split(weights, self._sizes)
        return [tf.reshape(p, v.shape) for p, v in zip(parts, self._model.trainable_variables, strict=True)]

    def _call(self, weights: Any, noise: Any, values: Any, present: Any, *, training: bool = False) -> tuple[Any, Any]:
        said: tuple[Any, Any] = self._model.stateless_call(
            self._parts(weights), noise, [values, present], training=training
        )
        return said

    def _slope(self, weights: Any, values: Any, present: Any, share: Any) -> Any:
        tf = _imported()
        here = values * share
        with tf.GradientTape() as tape:
            tape.watch(here)
            log_odds = self._call(weights, self._noise, here, present)[0][:, 0]
        return tf.reduce_sum(tape.gradient(log_odds, here) * values, axis=1)

    def _step(self, state: State, windows: Windows, targets: Targets, rate: Any, decay: Any) -> State:
        """One step of AdamW (Loshchilov and Hutter 2019): only kernels decay; a long gradient is shortened."""
        tf = _imported()
        with tf.GradientTape() as tape:
            tape.watch(state.weights)
            said, noise = self._call(state.weights, state.noise, *windows, training=True)
            loss = _loss(tf, said, targets)
        gradient = tf.clip_by_norm(tape.gradient(loss, state.weights), LONGEST_GRADIENT)
        steps = state.steps + 1
        first = FIRST_DECAY * state.first + (1 - FIRST_DECAY) * gradient
        second = SECOND_DECAY * state.second + (1 - SECOND_DECAY) * tf.square(gradient)
        size = tf.sqrt(second / (1 - SECOND_DECAY**steps)) + TINY
        change = first / (1 - FIRST_DECAY**steps) / size + decay * self._decayed * state.weights
        return State(state.weights - rate * change, first, second, steps, noise)


def _loss(tf: Any, said: Any, targets: Targets) -> Any:
    """The weighted mean log-loss of the event plus VALUE_WEIGHT squared errors of the value."""
    event = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets.up, logits=said[:, 0])
    value = tf.square(said[:, 1] - targets.value)
    return tf.reduce_sum(targets.weight * (event + VALUE_WEIGHT * value)) / tf.reduce_sum(targets.weight)


@lru_cache(maxsize=KEPT_NETS)
def net_of(architecture: Architecture, seed: int) -> Net:
    """The net of an architecture as a seed draws it, kept for the next fit: compiling it takes a second or two."""
    return Net(_model(architecture, seed))


def _model(architecture: Architecture, seed: int) -> Any:
    """A plain functional model: (window, f) values and (window,) shares present, to log-odds and value.

    Each row is projected to `width` channels, plus a learned vector of its position (the positional encoding) times
    the share that is present, so that a gap is all zeros to the body, wherever it is. The heads begin with zeros:
    before the first step, no window is answered otherwise than another.
    """
    _imported()
    import keras

    keras.utils.set_random_seed(seed)  # layers draw the seeds of their weights and dropout from Python's generator
    layers = keras.layers
    values = keras.Input((architecture.window, architecture.features), name="values")
    present = keras.Input((architecture.window,), name="present")
    projected = layers.Dense(architecture.width, use_bias=False, name="project")(values)
    place = layers.EinsumDense("bt,tk->btk", (architecture.window, architecture.width), name="place")(present)
    rows = layers.SpatialDropout1D(architecture.dropout)(layers.Add()([projected, place]))
    seen = layers.Dropout(architecture.dropout)(BODIES[architecture.body](keras, rows, present, architecture))
    heads = layers.Dense(2, kernel_initializer="zeros", name="heads")(seen)
    return keras.Model([values, present], heads, name=architecture.body)


def _last(keras: Any, rows: Any) -> Any:
    return keras.layers.Cropping1D((rows.shape[1] - 1, 0))(rows)


def _lstm(keras: Any, rows: Any, present: Any, architecture: Architecture) -> Any:  # noqa: ARG001
    """`depth` layers of LSTM (Hochreiter and Schmidhuber 1997), beside the last row itself."""
    layers = keras.layers
    hidden = rows
    for layer in range(architecture.depth):
        hidden = layers.LSTM(architecture.width, return_sequences=layer < architecture.depth - 1)(hidden)
    return layers.Concatenate()([hidden, layers.Flatten()(_last(keras, rows))])


def _transformer(keras: Any, rows: Any, present: Any, architecture: Architecture) -> Any:
    """`depth` encoder blocks (Vaswani et al. 2017) whose keys are the present rows.

    Of the last block only the last row's output is read, so only that row asks.
    """
    layers, width = keras.layers, architecture.width
    keys = keras.ops.expand_dims(keras.ops.greater(present, 0), 1)
    for block in range(architecture.depth):
        asking = _last(keras, rows) if block == architecture.depth - 1 else rows
        attention = layers.MultiHeadAttention(ATTENTION_HEADS, width // ATTENTION_HEADS)
        heard = layers.LayerNormalization()(layers.Add()([asking, attention(asking, rows, attention_mask=keys)]))
        inner = layers.Dense(width)(layers.Dense(2 * width, activation="relu")(heard))
        rows = layers.LayerNormalization()(layers.Add()([heard, inner]))
    return layers.Flatten()(rows)


def _cnn(keras: Any, rows: Any, present: Any, architecture: Architecture) -> Any:  # noqa: ARG001
    """Causal convolutions of two taps with dilations 1, 2, 4... that cover the window (van den Oord et al. 2016).

    Only the last row's output is read, and of each level that needs the ends of pairs, of pairs of pairs... alone:
    computed so, the dilated convolutions are convolutions of stride two.
    """
    layers, width = keras.layers, architecture.width
    length = 1 << (architecture.window - 1).bit_length()
    rows = layers.ZeroPadding1D((length - architecture.window, 0))(rows)
    while length > 1:
        length //= 2
        pairs = layers.Reshape((length, 2 * width))(rows)
        _, newer = keras.ops.split(pairs, 2, axis=-1)  # the gradient of a slice takes a third of a whole step
        rows = layers.Add()([newer, layers.Dense(width, activation="relu")(pairs)])
    return layers.Flatten()(rows)


BODIES: Mapping[str, Callable[[Any, Any, Any, Architecture], Any]] = {
    "lstm": _lstm,
    "transformer": _transformer,
    "cnn": _cnn,
}
