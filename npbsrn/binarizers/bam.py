"""BAM, the bit accumulation mechanism (Xin et al., ECCV 2020, section 3.2)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.binarizers.base import PullActivations, PullFilters, Remembered, RememberedGrad, add_at
from npbsrn.errors import UsageError
from npbsrn.ops.filters import binary_filters
from npbsrn.ops.norm import EPS, batch_norm
from npbsrn.ops.pointwise import STATISTICS, multiply_add, weight_by_statistic, weighted_sum
from npbsrn.ops.sign import STES, binarize, sign
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]

# The rows of the paper's Table 4 as options of `Bam`.
ABLATIONS: dict[str, dict[str, Any]] = {
    "W1": {"alpha": "one"},
    "W2": {"accumulate_filters": False},
    "A1": {"beta": "one"},
    "A2": {"accumulate_activations": False},
}


@dataclass(frozen=True)
class Bam:
    """Binarize sums over the block's earlier activations and filters instead of the newest ones alone.

    Parameters
    ----------
    alpha, beta : {"learned", "one"}
        Weights of the accumulated filters and activations: learned scalars that start at 1, or fixed at 1.
    accumulate_filters, accumulate_activations : bool
        Without, only the convolution's own filters or input are binarized.
    statistic : {"abs", "mean", "none"}
        E of eq. 9: the mean over channels of |A|, of A, or no weighting by a statistic.
    filter_ste, activation_ste : str
        Stand-ins for the gradient of the sign, keys of `npbsrn.ops.sign.STES`.
    """

    alpha: str = "learned"
    beta: str = "learned"
    accumulate_filters: bool = True
    accumulate_activations: bool = True
    statistic: str = "abs"
    filter_ste: str = "identity"
    activation_ste: str = "clip"

    def __post_init__(self) -> None:
        for option, known in (
            ("alpha", ("learned", "one")),
            ("beta", ("learned", "one")),
            ("accumulate_filters", (True, False)),
            ("accumulate_activations", (True, False)),
            ("statistic", (*STATISTICS, "none")),
            ("filter_ste", tuple(STES)),
            ("activation_ste", tuple(STES)),
        ):
            value = getattr(self, option)
            if value not in known:
                names = ", ".join(str(k) for k in known)
                raise UsageError(f"the option {option} of bam cannot be {value!r}; choose among {names}")

    def init(self, channels: int, inputs: int, filters: int, dtype: Any) -> Params:
        """First parameters of one convolution; see `npbsrn.binarizers.base.Binarizer`."""
        params: Params = {
            "gain": np.ones(channels, dtype),
            "shift": np.zeros(channels, dtype),
            "running_mean": np.zeros(channels, dtype),
            "running_variance": np.ones(channels, dtype),
        }
        if self.alpha == "learned":
            params["alpha"] = np.ones(filters if self.accumulate_filters else 1, dtype)
        if self.beta == "learned":
            params["beta"] = np.ones(inputs if self.accumulate_activations else 1, dtype)
        return params

    def activations(
        self, params: Params, x: Array, memory: Remembered, train: bool
    ) -> tuple[Array, Remembered, PullActivations]:
        """Eq. 9 and 10: ``sign(BN(sum_k beta_k * E(A_k) * A_k))``.

        What is remembered of an activation is ``E(A_k) * A_k``, of which every later sum is made. Outside of training
        BN and beta are one weight a term, see `folded`, and nothing is recorded for `pull`.
        """
        weighted, pull_weighted = weight_by_statistic(x, self.statistic)
        remembered = (*memory, weighted)
        own = len(memory)
        used = range(own + 1) if self.accumulate_activations else [own]
        if not train:
            weights, shift = self.folded(params, len(used))
            z = shift[:, None, None]
            for k, weight in zip(used, weights, strict=True):
                z = multiply_add(remembered[k], weight[:, None, None], z)
            return sign(z), remembered, _nothing_recorded
        beta = self._beta(params, len(used), x.dtype)
        total, pull_total = weighted_sum([remembered[k] for k in used], beta)
        running = (params["running_mean"], params["running_variance"])
        normal, pull_normal = batch_norm(total, params["gain"], params["shift"], running, train=True)
        bits, pull_bits = binarize(normal, self.activation_ste)

        def pull(dbits: Array, dmemory: RememberedGrad) -> tuple[Array, RememberedGrad, Params]:
            dtotal, dgain, dshift = pull_normal(pull_bits(dbits))
            dterms, dbeta = pull_total(dtotal)
            *dbefore, dweighted = add_at(dmemory, used, dterms)
            grads = {"gain": dgain, "shift": dshift} | ({"beta": dbeta} if self.beta == "learned" else {})
            return pull_weighted(dweighted), tuple(dbefore), grads

        return bits, remembered, pull

    def _beta(self, params: Params, used: int, dtype: Any) -> Array:
        return params["beta"] if self.beta == "learned" else np.ones(used, dtype)

    def folded(self, params: Params, used: int) -> tuple[Array, Array]:
        """What is binarized outside of training, as ``sum_k weights[k] * E(A_k) A_k + shift``.

        With BN's running mean m and variance v and ``g = gain / sqrt(v + eps)``,
        ``BN(sum_k beta_k S_k) = sum_k (g beta_k) S_k + (shift - g m)`` in each channel.

        Parameters
        ----------
        params : dict
        used : int
            Terms of the sum.

        Returns
        -------
        weights : (used, C)
        shift : (C,)
            Never -0.0.
        """
        dtype = params["gain"].dtype
        gain = params["gain"] / np.sqrt(params["running_variance"].astype(np.float64) + EPS)
        weights = gain * self._beta(params, used, dtype)[:, None]
        shift = params["shift"] - gain * params["running_mean"]
        return weights.astype(dtype), shift.astype(dtype) + dtype.type(0)

    def filters(self, params: Params, w: Array, memory: Remembered) -> tuple[Array, Array, Remembered, PullFilters]:
        """Eq. 3: ``sign(BN(sum_k alpha_k * W_k)) * E(|W_n|)``, k over the filters of one shape.

        BN standardises each output channel over (I, kh, kw). The scale ``E(|W_n|)`` is returned beside the bits.
        """
        remembered = (*memory, w)
        own = len(memory)
        used = [k for k, w_k in enumerate(remembered) if w_k.shape == w.shape and (self.accumulate_filters or k == own)]
        alpha = params["alpha"] if self.alpha == "learned" else np.ones(len(used), w.dtype)
        (bits, scale), pull_filters = binary_filters([remembered[k] for k in used], alpha, self.filter_ste)

        def pull(dbits: Array, dscale: Array, dmemory: RememberedGrad) -> tuple[Array, RememberedGrad, Params]:
            dterms, dalpha = pull_filters(dbits, dscale)
            *dbefore, dw = add_at(dmemory, used, dterms)
            return dw, tuple(dbefore), {"alpha": dalpha} if self.alpha == "learned" else {}

        return bits, scale, remembered, pull


def _nothing_recorded(dbits: Array, dmemory: RememberedGrad) -> tuple[Array, RememberedGrad, Params]:
    raise RuntimeError("there is no backward pass outside of training")
