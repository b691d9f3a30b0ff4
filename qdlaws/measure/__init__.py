"""Quality, diversity and entropy of samples, measured with standard errors.

numpy in, numbers out: usable on anybody's samples. Every measure gives an :class:`Estimate`. Light
to import: rdkit is loaded when molecules are measured, torch for the learned partition alone.
"""

from qdlaws.measure.bleu import self_bleu, self_bleu_scores
from qdlaws.measure.classes import distinct_classes, distinct_k, partition, sample_diversity
from qdlaws.measure.entropy import (
    convert_entropy,
    sequence_entropy,
    sequence_nll,
    token_entropies,
    token_entropy,
    token_entropy_mean,
    token_nll,
)
from qdlaws.measure.equivalences import (
    Equivalence,
    by_key,
    canonical,
    embedding_threshold,
    exact,
    normalised,
    same_scaffold,
    short_texts,
    tanimoto_threshold,
    word_overlap,
)
from qdlaws.measure.estimate import Estimate
from qdlaws.measure.fingerprints import Fingerprints, Molecules, read_molecules
from qdlaws.measure.learned import LearnedPartition, PartitionConfig, train_partition
from qdlaws.measure.molecules import (
    Scaffolds,
    circles,
    internal_diversity,
    reference_distance,
    scaffolds,
    unique_share,
    valid_share,
)
from qdlaws.measure.pairs import PartitionReport
from qdlaws.measure.quality import (
    best_of_n,
    maj_at_k,
    mean_at_k,
    mean_score,
    pass_at_k,
    pass_curve,
)
from qdlaws.measure.record import samples
from qdlaws.measure.spectral import vendi, vendi_features
from qdlaws.measure.statistics import pairwise_mean, rarefied
from qdlaws.measure.tanimoto import isim, tanimoto_matrix, tanimoto_mean, tanimoto_sampled
from qdlaws.measure.texts import (
    distinct_n,
    ead,
    edit_diversity,
    embedding_diversity,
    embedding_vendi,
)
from qdlaws.measure.tokens import Tokens, tokenise

__all__ = [
    "Equivalence",
    "Estimate",
    "Fingerprints",
    "LearnedPartition",
    "Molecules",
    "PartitionConfig",
    "PartitionReport",
    "Scaffolds",
    "Tokens",
    "best_of_n",
    "by_key",
    "canonical",
    "circles",
    "convert_entropy",
    "distinct_classes",
    "distinct_k",
    "distinct_n",
    "ead",
    "edit_diversity",
    "embedding_diversity",
    "embedding_threshold",
    "embedding_vendi",
    "exact",
    "internal_diversity",
    "isim",
    "maj_at_k",
    "mean_at_k",
    "mean_score",
    "normalised",
    "pairwise_mean",
    "partition",
    "pass_at_k",
    "pass_curve",
    "rarefied",
    "read_molecules",
    "reference_distance",
    "same_scaffold",
    "sample_diversity",
    "samples",
    "scaffolds",
    "self_bleu",
    "self_bleu_scores",
    "sequence_entropy",
    "sequence_nll",
    "short_texts",
    "tanimoto_matrix",
    "tanimoto_mean",
    "tanimoto_sampled",
    "tanimoto_threshold",
    "token_entropies",
    "token_entropy",
    "token_entropy_mean",
    "token_nll",
    "tokenise",
    "train_partition",
    "unique_share",
    "valid_share",
    "vendi",
    "vendi_features",
    "word_overlap",
]
